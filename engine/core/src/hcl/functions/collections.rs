//! Functions that look into lists, sets, tuples, maps and objects. What they return is as sensitive as it was inside
//! of the collection; numbers of elements and names of keys are not sensitive.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Function, Host, Known, Outcome, Param, any, at, function, gives, int, param, string, strings, text,
};
use crate::hcl::convert::unify;
use crate::hcl::types::Type;
use crate::hcl::value::equal;
use crate::hcl::{Val, convert};

const LIST: Param = param("list", any).known(Known::Outside);
const MAPPING: Param = param("mapping", any).known(Known::Outside);
const VALS: Param = param("vals", any).or_null().known(Known::Any);
const BOOLS: &[Param] = &[param("list", bools).known(Known::Outside)];

pub(super) const TABLE: &[Function] = &[
    function(
        "alltrue",
        "Whether all elements are true; true for an empty list.",
        BOOLS,
        gives::bool,
        alltrue,
    ),
    function("anytrue", "Whether an element is true.", BOOLS, gives::bool, anytrue),
    function(
        "coalesce",
        "The first argument that is neither null nor an empty text.",
        &[],
        gives::any,
        coalesce,
    )
    .rest(VALS)
    .own_marks(),
    function("coalescelist", "The first list that has elements.", &[], gives::any, coalescelist)
        .rest(VALS)
        .own_marks(),
    function(
        "contains",
        "Whether a value is in a list, tuple or set.",
        &[LIST, param("value", any).known(Known::Outside)],
        gives::bool,
        contains,
    ),
    function(
        "element",
        "The element at an index, counted from 0; beyond the end it starts over.",
        &[LIST, param("index", super::number)],
        element_type,
        element,
    )
    .own_marks(),
    function(
        "index",
        "Where a value is in a list, counted from 0.",
        &[LIST, param("value", any).known(Known::Outside)],
        gives::number,
        index,
    ),
    function(
        "keys",
        "The keys of a map or object, sorted.",
        &[param("inputMap", any).known(Known::Any)],
        gives::strings,
        keys,
    )
    .own_marks(),
    function(
        "length",
        "How many elements a collection, or characters a text, has.",
        &[param("value", any).known(Known::Any)],
        gives::number,
        length,
    )
    .own_marks(),
    function(
        "lookup",
        "The value of a key in a map or object, or the default.",
        &[
            param("inputMap", any).known(Known::Outside),
            param("key", string),
            param("default", any).known(Known::Any),
        ],
        lookup_type,
        lookup,
    )
    .own_marks(),
    function("merge", "Maps or objects as one; later ones win.", &[], merge_type, merge)
        .rest(param("maps", any).or_null().known(Known::Outside))
        .own_marks(),
    function(
        "values",
        "The values of a map or object, in the order of its keys.",
        &[MAPPING],
        values_type,
        values,
    )
    .own_marks(),
    function(
        "zipmap",
        "A map of a list of keys and a list of values.",
        &[param("keys", strings), param("values", any).known(Known::Outside)],
        zipmap_type,
        zipmap,
    )
    .own_marks(),
];

fn bools() -> Type {
    Type::list(Type::Bool)
}

fn alltrue(args: &[Val], _: &dyn Host) -> Outcome {
    for item in args[0].items().unwrap_or_default() {
        match item.as_bool() {
            Some(true) => {}
            None if !item.is_known() => return Ok(Val::Unknown(Type::Bool)),
            _ => return Ok(Val::bool(false)),
        }
    }
    Ok(Val::bool(true))
}

fn anytrue(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().unwrap_or_default();
    if items.iter().any(|v| v.as_bool() == Some(true)) {
        return Ok(Val::bool(true));
    }
    Ok(if items.iter().all(Val::is_known) { Val::bool(false) } else { Val::Unknown(Type::Bool) })
}

fn coalesce(args: &[Val], _: &dyn Host) -> Outcome {
    let types: Vec<Type> = args.iter().map(Val::ty).collect();
    let ty = unify(&types).ok_or("all arguments must have the same type")?;
    for (i, arg) in args.iter().enumerate() {
        let value = convert(arg.clone(), &ty).map_err(|e| at(i, e.to_string()))?;
        let empty = value.is_null() || value.as_text().is_some_and(crate::value::Text::is_empty);
        if !empty {
            return Ok(value);
        }
    }
    Err("no non-null, non-empty-string arguments".into())
}

fn coalescelist(args: &[Val], _: &dyn Host) -> Outcome {
    for arg in args {
        match arg {
            Val::Unknown(_) => return Ok(Val::DYNAMIC),
            Val::List(..) | Val::Tuple(_) | Val::Null(Type::List(_) | Type::Tuple(_)) => {}
            _ => return Err("coalescelist arguments must be lists or tuples".into()),
        }
    }
    let full = args.iter().find(|v| v.items().is_some_and(|items| !items.is_empty()));
    Ok(full.ok_or("all lists are empty or null")?.clone())
}

fn contains(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().ok_or("argument must be list, tuple, or set")?;
    let mut unknown = false;
    for item in items {
        match equal(&args[1], item) {
            Some(true) => return Ok(Val::bool(true)),
            Some(false) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Val::Unknown(Type::Bool) } else { Val::bool(false) })
}

fn element_type(args: &[Val]) -> Type {
    match args.first().map(Val::ty) {
        Some(Type::List(element)) => *element,
        _ => Type::Dynamic,
    }
}

fn element(args: &[Val], _: &dyn Host) -> Outcome {
    let items = match &args[0] {
        Val::List(_, items) | Val::Tuple(items) => items,
        other => return Err(at(0, format!("cannot read elements from {}", other.ty().friendly()))),
    };
    let index = usize::try_from(int(args, 1)?)
        .map_err(|_| at(1, "cannot use element function with a negative index"))?;
    if items.is_empty() {
        return Err("cannot use element function with an empty list".into());
    }
    Ok(items[index % items.len()].clone().mark_if(args[1].is_sensitive()))
}

fn index(args: &[Val], _: &dyn Host) -> Outcome {
    let (Val::List(_, items) | Val::Tuple(items)) = &args[0] else {
        return Err("argument must be a list or tuple".into());
    };
    if items.is_empty() {
        return Err("cannot search an empty list".into());
    }
    for (i, item) in items.iter().enumerate() {
        match equal(item, &args[1]) {
            Some(true) => return Ok(Val::number(i)),
            Some(false) => {}
            None => return Ok(Val::Unknown(Type::Number)),
        }
    }
    Err("item not found".into())
}

fn keys(args: &[Val], _: &dyn Host) -> Outcome {
    let names = |names: Vec<&String>| names.into_iter().map(Val::string).collect();
    match &args[0] {
        Val::Map(_, fields) => Ok(Val::list(Type::String, names(fields.keys().collect()))),
        Val::Object(fields) => Ok(Val::Tuple(names(fields.keys().collect()))),
        // The keys of an object are part of its type.
        Val::Unknown(Type::Object(fields)) => Ok(Val::Tuple(names(fields.keys().collect()))),
        Val::Unknown(Type::Map(_)) => Ok(Val::Unknown(strings())),
        Val::Unknown(Type::Dynamic) => Ok(Val::DYNAMIC),
        _ => Err(at(0, "must have map or object type")),
    }
}

fn length(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(match &args[0] {
        Val::String(_) => Val::number(text(args, 0).graphemes(true).count()).mark_if(args[0].is_sensitive()),
        // Parts that are not known may turn out to be equal.
        Val::Set(_, items) if items.len() > 1 && !items.iter().all(Val::is_wholly_known) => {
            Val::Unknown(Type::Number)
        }
        Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => Val::number(items.len()),
        Val::Map(_, fields) | Val::Object(fields) => Val::number(fields.len()),
        Val::Unknown(Type::Tuple(types)) => Val::number(types.len()),
        Val::Unknown(Type::Object(fields)) => Val::number(fields.len()),
        Val::Unknown(Type::Dynamic | Type::String | Type::List(_) | Type::Set(_) | Type::Map(_)) => {
            Val::Unknown(Type::Number)
        }
        _ => return Err("argument must be a string, a collection type, or a structural type".into()),
    })
}

fn lookup_type(args: &[Val]) -> Type {
    match args.first().map(Val::ty) {
        Some(Type::Map(element)) => *element,
        _ => Type::Dynamic,
    }
}

fn lookup(args: &[Val], _: &dyn Host) -> Outcome {
    let fields = args[0].fields().ok_or_else(|| at(0, "lookup() requires a map as the first argument"))?;
    let default = match &args[0] {
        Val::Map(element, _) => convert(args[2].clone(), element)
            .map_err(|_| at(2, "the default value must have the same type as the map elements"))?,
        _ => args[2].clone(),
    };
    let found = fields.get(&text(args, 1)).cloned().unwrap_or(default);
    Ok(found.mark_if(args[1].is_sensitive()))
}

/// The type that all maps and objects share.
fn merge_type(args: &[Val]) -> Type {
    match args.first().map(Val::ty) {
        Some(first) if args.iter().all(|v| v.ty() == first) => first,
        _ => Type::Dynamic,
    }
}

fn merge(args: &[Val], _: &dyn Host) -> Outcome {
    let mut out = BTreeMap::new();
    for arg in args {
        match arg {
            Val::Map(_, fields) | Val::Object(fields) => {
                out.extend(fields.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
            Val::Null(Type::Dynamic | Type::Map(_) | Type::Object(_)) => {}
            other => {
                return Err(
                    format!("arguments must be maps or objects, got {}", other.ty().friendly()).into()
                );
            }
        }
    }
    Ok(match merge_type(args) {
        Type::Map(element) => Val::Map(*element, out),
        _ => Val::Object(out),
    })
}

fn values_type(args: &[Val]) -> Type {
    match args.first().map(Val::ty) {
        Some(Type::Map(element)) => Type::List(element),
        Some(Type::Object(fields)) => Type::Tuple(fields.into_values().map(|f| f.ty).collect()),
        _ => Type::Dynamic,
    }
}

fn values(args: &[Val], _: &dyn Host) -> Outcome {
    match &args[0] {
        Val::Map(element, fields) => Ok(Val::list(element.clone(), fields.values().cloned().collect())),
        Val::Object(fields) => Ok(Val::Tuple(fields.values().cloned().collect())),
        _ => Err("values() requires a map as the first argument".into()),
    }
}

fn zipmap_type(args: &[Val]) -> Type {
    match args.get(1).map(Val::ty) {
        Some(Type::List(element)) => Type::Map(element),
        _ => Type::Dynamic,
    }
}

fn zipmap(args: &[Val], _: &dyn Host) -> Outcome {
    let keys = args[0].items().unwrap_or_default();
    let (Val::List(_, values) | Val::Tuple(values)) = &args[1] else {
        return Err(at(1, "values argument must be a list or tuple value"));
    };
    if keys.len() != values.len() {
        let (keys, values) = (keys.len(), values.len());
        return Err(format!("number of keys ({keys}) does not match number of values ({values})").into());
    }
    let mut fields = BTreeMap::new();
    for (key, value) in keys.iter().zip(values) {
        let key = key.as_str().ok_or_else(|| at(0, "a key is null"))?;
        fields.insert(key, value.clone());
    }
    let out = match &args[1] {
        Val::List(element, _) => Val::Map(element.clone(), fields),
        _ => Val::Object(fields),
    };
    // Keys carry no marks of their own.
    Ok(out.mark_if(args[0].is_sensitive()))
}
