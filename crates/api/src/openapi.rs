//! The OpenAPI 3.1 document, built from the endpoints and the types.

use std::collections::BTreeMap;

use bugle_core::{ApplicationId, GatewayId, GroupId, PeripheralId, RequestId, ScheduleId, Stage, State};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr,
    Required, Response, ResponseBuilder, Schema, Type,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::{
    Access, AllocationBody, Application, Decisions, DecisionsAnswer, Endpoint, Enrolled, Enrollment, EnrollmentToken,
    EventKinds, EventPage, EventQuery, EventRecord, Foresight, Gateway, Group, GroupDetail, IDEMPOTENCY_KEY,
    IssuedToken, LAST_EVENT_ID, MemberFilter, MemberQuery, Method, NewApplication, NewGateway, NewSchedule, NewToken,
    ObservationBody, Page, PageQuery, Peripheral, PeripheralQuery, Problem, Request, RequestMember, RequestQuery,
    RequestState, RequestWait, Schedule, Scope, SnapshotPage, StrangerRecord, Submission, Token,
};

const SECURITY: &str = "bearer";

/// The OpenAPI 3.1 document of the platform's API, for this version of Bugle.
#[must_use]
pub fn document(version: &str) -> OpenApi {
    let mut schemas = Schemas::default();
    let mut paths = Paths::new();
    for endpoint in Endpoint::ALL {
        let operation = operation(*endpoint, &mut schemas);
        paths.add_path_operation(endpoint.path(), vec![http_method(endpoint.method())], operation);
    }
    schemas.refer::<Problem>();
    let mut components = Components::new();
    components.schemas = schemas.0;
    components.add_security_scheme(SECURITY, SecurityScheme::Http(security()));
    let info = InfoBuilder::new()
        .title("Bugle platform")
        .version(version)
        .description(Some(
            "Groups of terminal peripherals: who may join, who is registered, and one request for all members.",
        ))
        .build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Delete => HttpMethod::Delete,
    }
}

fn security() -> utoipa::openapi::security::Http {
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| format!("- `{scope}`: {}", scope.description())).collect();
    let description = format!("A token. Scopes:\n\n{}", scopes.join("\n"));
    HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build()
}

/// The schemas that are referred to, by name.
#[derive(Default)]
struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// A reference to the schema of `T`, which is put into the document.
    fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut needed = Vec::new();
        T::schemas(&mut needed);
        self.0.extend(needed);
        self.0.insert(T::name().into_owned(), T::schema());
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }

    /// A reference to the schema of a page of `T`. Named here, as each page has the name `Page`.
    fn refer_page<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.refer::<T>();
        let name = format!("{}Page", T::name());
        self.0.insert(name.clone(), <Page<T>>::schema());
        RefOr::Ref(Ref::from_schema_name(name))
    }
}

fn operation(endpoint: Endpoint, schemas: &mut Schemas) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(endpoint.name())))
        .summary(Some(endpoint.summary()))
        .response("default", problem(schemas));
    if let Access::Scope(scope) = endpoint.access() {
        operation = operation
            .description(Some(format!("Needs scope `{scope}`.")))
            .security(SecurityRequirement::new(SECURITY, [scope.as_str()]));
    }
    for name in endpoint.path_parameters() {
        operation = operation.parameter(path_parameter(name, schemas));
    }
    for parameter in queries(endpoint, schemas) {
        operation = operation.parameter(parameter);
    }
    for (name, description) in headers(endpoint) {
        operation = operation.parameter(header(name, description));
    }
    if let Some(schema) = body(endpoint, schemas) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    let (status, response) = answer(endpoint, schemas);
    operation.response(status, response).build()
}

/// `AddApplication` as `add_application`.
fn operation_id(name: &str) -> String {
    let mut id = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() && !id.is_empty() {
            id.push('_');
        }
        id.push(character.to_ascii_lowercase());
    }
    id
}

fn problem(schemas: &mut Schemas) -> Response {
    let content = ContentBuilder::new().schema(Some(schemas.refer::<Problem>())).build();
    let retry_after = HeaderBuilder::new()
        .schema(ObjectBuilder::new().schema_type(Type::Integer))
        .description(Some("With 429 and 503: after how many seconds to try again."));
    ResponseBuilder::new()
        .description("A problem")
        .content(Problem::CONTENT_TYPE, content)
        .header("Retry-After", retry_after.build())
        .build()
}

fn path_parameter(name: &str, schemas: &mut Schemas) -> Parameter {
    let schema = match name {
        "application" => schemas.refer::<ApplicationId>(),
        "gateway" => schemas.refer::<GatewayId>(),
        "peripheral" => schemas.refer::<PeripheralId>(),
        "group" | "contained" => schemas.refer::<GroupId>(),
        "request" => schemas.refer::<RequestId>(),
        "schedule" => schemas.refer::<ScheduleId>(),
        _ => ObjectBuilder::new().schema_type(Type::String).into(),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

fn header(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn headers(endpoint: Endpoint) -> &'static [(&'static str, &'static str)] {
    match endpoint {
        Endpoint::Submit => &[(IDEMPOTENCY_KEY, "The same key within a day is the same group request.")],
        Endpoint::Events => &[(LAST_EVENT_ID, "The sequence after which to go on.")],
        _ => &[],
    }
}

fn queries(endpoint: Endpoint, schemas: &mut Schemas) -> Vec<Parameter> {
    let in_query = || Some(ParameterIn::Query);
    match endpoint {
        Endpoint::Peripherals => {
            schemas.refer::<State>();
            PeripheralQuery::into_params(in_query)
        }
        Endpoint::Requests => {
            schemas.refer::<RequestState>();
            RequestQuery::into_params(in_query)
        }
        Endpoint::Request => RequestWait::into_params(in_query),
        Endpoint::RequestMembers => {
            schemas.refer::<MemberFilter>();
            schemas.refer::<Stage>();
            MemberQuery::into_params(in_query)
        }
        Endpoint::Events => {
            schemas.refer::<EventKinds>();
            EventQuery::into_params(in_query)
        }
        Endpoint::Applications
        | Endpoint::Tokens
        | Endpoint::Gateways
        | Endpoint::Strangers
        | Endpoint::Groups
        | Endpoint::GroupMembers
        | Endpoint::Schedules
        | Endpoint::Snapshot => PageQuery::into_params(in_query),
        _ => Vec::new(),
    }
}

fn body(endpoint: Endpoint, schemas: &mut Schemas) -> Option<RefOr<Schema>> {
    match endpoint {
        Endpoint::AddApplication => Some(schemas.refer::<NewApplication>()),
        Endpoint::IssueToken => Some(schemas.refer::<NewToken>()),
        Endpoint::AddGateway => Some(schemas.refer::<NewGateway>()),
        Endpoint::Enrol => Some(schemas.refer::<Enrollment>()),
        Endpoint::Allocate => Some(schemas.refer::<AllocationBody>()),
        Endpoint::Observe | Endpoint::ObserveNoMore => Some(schemas.refer::<ObservationBody>()),
        Endpoint::Submit | Endpoint::Foresee => Some(schemas.refer::<Submission>()),
        Endpoint::PutSchedule => Some(schemas.refer::<NewSchedule>()),
        Endpoint::Decide => Some(schemas.refer::<Decisions>()),
        _ => None,
    }
}

fn answer(endpoint: Endpoint, schemas: &mut Schemas) -> (&'static str, Response) {
    match endpoint {
        Endpoint::Healthz | Endpoint::Readyz => ("204", plain("It is so")),
        Endpoint::Document => ("200", json(ObjectBuilder::new().schema_type(Type::Object).into())),
        Endpoint::AddApplication => ("200", json(schemas.refer::<Application>())),
        Endpoint::Applications => ("200", json(schemas.refer_page::<Application>())),
        Endpoint::IssueToken => ("201", json(schemas.refer::<IssuedToken>())),
        Endpoint::Tokens => ("200", json(schemas.refer_page::<Token>())),
        Endpoint::RevokeToken => ("204", plain("It is worthless now")),
        Endpoint::AddGateway => ("201", json(schemas.refer::<EnrollmentToken>())),
        Endpoint::Gateways => ("200", json(schemas.refer_page::<Gateway>())),
        Endpoint::Enrol => ("201", json(schemas.refer::<Enrolled>())),
        Endpoint::Strangers => ("200", json(schemas.refer_page::<StrangerRecord>())),
        Endpoint::Peripherals | Endpoint::GroupMembers => ("200", json(schemas.refer_page::<Peripheral>())),
        Endpoint::Peripheral => ("200", json(schemas.refer::<Peripheral>())),
        Endpoint::Allocate
        | Endpoint::Remove
        | Endpoint::Release
        | Endpoint::Block
        | Endpoint::Deregister
        | Endpoint::Standby
        | Endpoint::Observe
        | Endpoint::ObserveNoMore
        | Endpoint::Activate => ("202", plain("It is on its way to the gateway")),
        Endpoint::ActivateGroup | Endpoint::StandbyGroup => ("202", plain("It is on its way to the gateways")),
        Endpoint::Groups => ("200", json(schemas.refer_page::<Group>())),
        Endpoint::Group => ("200", json(schemas.refer::<GroupDetail>())),
        Endpoint::Foresee => ("200", json(schemas.refer::<Foresight>())),
        Endpoint::Submit | Endpoint::Cancel => ("202", json(schemas.refer::<Request>())),
        Endpoint::Requests => ("200", json(schemas.refer_page::<Request>())),
        Endpoint::Request => ("200", json(schemas.refer::<Request>())),
        Endpoint::RequestMembers => ("200", json(schemas.refer_page::<RequestMember>())),
        Endpoint::PutSchedule | Endpoint::Schedule => ("200", json(schemas.refer::<Schedule>())),
        Endpoint::Schedules => ("200", json(schemas.refer_page::<Schedule>())),
        Endpoint::CancelSchedule => ("204", plain("It is gone")),
        Endpoint::Nest | Endpoint::Unnest => ("204", plain("It is so")),
        Endpoint::Decide => ("200", json(schemas.refer::<DecisionsAnswer>())),
        Endpoint::Events => ("200", events(schemas)),
        Endpoint::Snapshot => ("200", json(schemas.refer::<SnapshotPage>())),
    }
}

fn plain(description: &str) -> Response {
    ResponseBuilder::new().description(description).build()
}

fn json(schema: RefOr<Schema>) -> Response {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description("So it is").content("application/json", content).build()
}

/// A page, or a stream of which each event's data is a record.
fn events(schemas: &mut Schemas) -> Response {
    let page = ContentBuilder::new().schema(Some(schemas.refer::<EventPage>())).build();
    let stream = ContentBuilder::new().schema(Some(schemas.refer::<EventRecord>())).build();
    ResponseBuilder::new()
        .description("A page, or a stream of which each event's data is a record")
        .content("application/json", page)
        .content("text/event-stream", stream)
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_is_as_published() {
        insta::assert_snapshot!(document("0.0.0").to_pretty_json().expect("is JSON"));
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = serde_json::to_value(document("0.0.0")).expect("is JSON");
        assert_eq!(document["openapi"], "3.1.0");
        let mut references = BTreeSet::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    fn collect(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
