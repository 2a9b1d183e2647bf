//! JSON Schemas for types that are strings in JSON.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};

/// `format` is a name from JSON Schema, such as `uuid`.
pub(crate) fn text(format: &str) -> RefOr<Schema> {
    let format = SchemaFormat::Custom(format.to_owned());
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
}

/// One of these strings.
pub(crate) fn one_of(names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
}
