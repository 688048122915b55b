//! The configuration as a JSON Schema (draft 2020-12), made from the rows that the filter reads by: for editors, and for whatever
//! writes configurations. What the schema refuses, the filter refuses; the filter also looks at what keys mean together.

use promql_tenancy_filter::config::{self, Member, Shape, Text};
use serde_json::{Map, Value, json};

/// The schema of the whole configuration.
pub fn schema() -> Value {
    let property = |key: &config::Key| {
        let meaning = format!("{} ({})", key.meaning, key.docs);
        (key.name.to_owned(), described(key.shape, key.default, &meaning))
    };
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "promql-tenancy-filter",
        "description": "The configuration of promql-tenancy-filter. `tenancyctl check` also finds what is wrong between keys.",
    });
    let object = closed(config::keys().iter().map(property).collect());
    if let (Some(root), Value::Object(object)) = (root.as_object_mut(), object) {
        root.extend(object);
    }
    root
}

/// An object that has these members and no others.
fn closed(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn described(shape: Shape, default: &str, meaning: &str) -> Value {
    let mut schema = of(shape);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), meaning.into());
        if let Ok(default) = serde_json::from_str::<Value>(default) {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

fn of(shape: Shape) -> Value {
    match shape {
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Count(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Word(words) => json!({"type": "string", "enum": words()}),
        Shape::Text(text) => string(text),
        Shape::List { of: member, least, distinct } => {
            let mut schema = json!({"type": "array", "items": of(*member)});
            if let Some(schema) = schema.as_object_mut() {
                if least > 0 {
                    schema.insert("minItems".to_owned(), least.into());
                }
                if distinct {
                    schema.insert("uniqueItems".to_owned(), true.into());
                }
            }
            schema
        }
        Shape::Object(members) => {
            let property = |Member { name, shape, default, meaning }| -> (String, Value) {
                (str::to_owned(name), described(shape, default, meaning))
            };
            closed(members().into_iter().map(property).collect())
        }
        Shape::ByTenant(value) | Shape::ByName(value) => json!({"type": "object", "additionalProperties": of(*value)}),
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(|shape| of(*shape)).collect::<Vec<_>>()}),
    }
}

fn string(Text { least, most, pattern }: Text) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), "string".into())]);
    if least > 0 {
        schema.insert("minLength".to_owned(), least.into());
    }
    if most < u32::MAX {
        schema.insert("maxLength".to_owned(), most.into());
    }
    if !pattern.is_empty() {
        schema.insert("pattern".to_owned(), pattern.into());
    }
    schema.into()
}
