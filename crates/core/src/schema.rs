//! OpenAPI schemas of the words that JSON shows as plain text.

use std::borrow::Cow;

use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema::SchemaType};
use utoipa::{PartialSchema, ToSchema};

use crate::certificate::CertificateChain;
use crate::credential::{PasswordProof, PasswordVerifier, PreSharedKey};
use crate::{
    Activation, ApplicationId, CollapseKey, FailuresMax, GatewayId, GroupId, PeripheralId, RequestId, ResourcePath,
    ScheduleId, limits,
};

fn text(description: &str, example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some(description))
        .examples([serde_json::Value::from(example)])
        .build()
}

macro_rules! text_schema {
    ($($name:ident, $description:literal, $example:literal;)*) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    text($description, $example).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )*
    };
}

text_schema! {
    PeripheralId, "LwM2M endpoint name or MQTT client id", "meter-0017";
    GroupId, "a group of the application", "meters-east";
    ApplicationId, "an application", "metering";
    GatewayId, "a gateway", "gateway-1";
    ScheduleId, "a schedule of the application", "evening-off";
    RequestId, "a group request", "1M8QZ4T7B0XKC";
    ResourcePath, "an LwM2M path of one to four numbers", "/3/0/9";
    Activation, "all, none, a count, a percentage, or a label selector", "10%";
    FailuresMax, "a count, or a percentage of the members that were served or failed", "10%";
    CollapseKey, "what group requests have in common of which only the newest matters", "brightness";
    PasswordVerifier, "what a password is checked against, as `bugle config password` prints it", "pbkdf2-sha256$…";
    PreSharedKey, "8 to 64 bytes in hexadecimal", "000102030405060708090a0b0c0d0e0f";
    PasswordProof, "32 bytes in base 64", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
}

impl PartialSchema for CertificateChain {
    fn schema() -> RefOr<Schema> {
        let certificate = text("X.509 in DER, in base 64", "MIIBLjCB1qADAgECAhRj…");
        ArrayBuilder::new()
            .items(certificate)
            .description(Some("certificates, the holder's own first, each signed by the next"))
            .min_items(Some(1))
            .max_items(Some(limits::CERTIFICATES_PER_CHAIN_MAX))
            .into()
    }
}

impl ToSchema for CertificateChain {
    fn name() -> Cow<'static, str> {
        "CertificateChain".into()
    }
}
