//! What gateways and platforms of other versions depend on: which number means what.

use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

#[test]
fn numbers_and_types_of_the_schema_stay() {
    let descriptors = protox::compile(["proto/bugle/link/v1/link.proto"], ["proto"]).expect("a valid schema");
    let file = descriptors.file.first().expect("one file");
    let mut text = format!("package {}\n", file.package());
    for service in &file.service {
        for method in &service.method {
            writeln!(text, "{}/{} {} -> {}", service.name(), method.name(), method.input_type(), method.output_type())
                .expect("a string takes all");
        }
    }
    file.message_type.iter().for_each(|message| describe_message(&mut text, message));
    file.enum_type.iter().for_each(|words| describe_enum(&mut text, words));
    insta::assert_snapshot!("schema", text);
}

fn describe_message(text: &mut String, message: &DescriptorProto) {
    writeln!(text, "\nmessage {}", message.name()).expect("a string takes all");
    for range in &message.reserved_range {
        // A message's range ends before its end, an enum's with it.
        writeln!(text, "  {}..={} reserved", range.start(), range.end() - 1).expect("a string takes all");
    }
    for field in &message.field {
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let choice = oneof.map_or(String::new(), |index| format!(" of {}", message.oneof_decl[index as usize].name()));
        writeln!(text, "  {} {} {}{choice}", field.number(), field.name(), type_of(field)).expect("a string takes all");
    }
    message.nested_type.iter().for_each(|nested| describe_message(text, nested));
}

fn type_of(field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches(".bugle.link.v1.").to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match field.label() {
        Label::Repeated => format!("repeated {name}"),
        _ if field.proto3_optional() => format!("optional {name}"),
        _ => name,
    }
}

fn describe_enum(text: &mut String, words: &EnumDescriptorProto) {
    writeln!(text, "\nenum {}", words.name()).expect("a string takes all");
    for range in &words.reserved_range {
        writeln!(text, "  {}..={} reserved", range.start(), range.end()).expect("a string takes all");
    }
    for value in &words.value {
        writeln!(text, "  {} {}", value.number(), value.name()).expect("a string takes all");
    }
}
