//! Functions that make lists, tuples and sets of others. Each element stays as sensitive as it was.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::{
    Budget, Fault, Function, Host, Known, Outcome, Param, any, at, function, gives, int, num, number, param,
    strings,
};
use crate::hcl::convert::unify;
use crate::hcl::types::Type;
use crate::hcl::value::order;
use crate::hcl::{Number, Val, convert};

const LIST: Param = param("list", any).known(Known::Outside);
const FIRST_SET: &[Param] = &[param("first_set", set).known(Known::Outside)];
const OTHER_SETS: Param = param("other_sets", set).known(Known::Outside);
/// `range` makes small lists of indices.
const MAX_RANGE: usize = 1024;

pub(super) const TABLE: &[Function] = &[
    function(
        "chunklist",
        "A list cut into lists of a size.",
        &[param("list", list).known(Known::Outside), param("size", number)],
        |args| args.first().map_or(Type::Dynamic, |v| Type::list(v.ty())),
        chunklist,
    )
    .own_marks(),
    function("compact", "The texts that are not empty.", &[param("list", strings)], gives::strings, compact)
        .own_marks(),
    function("concat", "Lists or tuples one after the other.", &[], gives::any, concat)
        .rest(param("seqs", any).known(Known::Outside))
        .own_marks(),
    function("distinct", "Each element once.", &[param("list", list)], gives::first, distinct).own_marks(),
    function("flatten", "Lists in lists as one.", &[LIST], gives::any, flatten).own_marks(),
    function(
        "range",
        "Numbers up to a limit; or from a start to a limit, with a step.",
        &[],
        |_| Type::list(Type::Number),
        range,
    )
    .rest(param("params", number)),
    function("reverse", "The elements in reverse order.", &[LIST], reverse_type, reverse).own_marks(),
    function("setintersection", "The elements that all sets have.", FIRST_SET, gives::first, intersection)
        .rest(OTHER_SETS)
        .own_marks(),
    function("setproduct", "All combinations of an element of each.", &[], gives::any, setproduct)
        .rest(param("sets", any).known(Known::Outside))
        .own_marks(),
    function("setunion", "The elements that some set has.", FIRST_SET, gives::first, union)
        .rest(OTHER_SETS)
        .own_marks(),
    function(
        "slice",
        "The elements from one index up to, not including, another; counted from 0.",
        &[LIST, param("start_index", number), param("end_index", number)],
        slice_type,
        slice,
    )
    .own_marks(),
    function(
        "sort",
        "Texts in the order of their bytes.",
        &[param("list", strings).known(Known::Outside)],
        gives::strings,
        sort,
    )
    .own_marks(),
];

fn list() -> Type {
    Type::list(Type::Dynamic)
}
fn set() -> Type {
    Type::set(Type::Dynamic)
}

/// A value by the order of sets.
struct Ordered<'a>(&'a Val);

impl Ord for Ordered<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        order(self.0, other.0)
    }
}
impl PartialOrd for Ordered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Ordered<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Ordered<'_> {}

fn chunklist(args: &[Val], _: &dyn Host) -> Outcome {
    let Val::List(element, items) = &args[0] else { return Err(at(0, "a list is required")) };
    let size = usize::try_from(int(args, 1)?).map_err(|_| at(1, "the size argument must be positive"))?;
    let size = if size == 0 { items.len().max(1) } else { size };
    let chunks = items.chunks(size).map(|chunk| Val::list(element.clone(), chunk.to_vec())).collect();
    Ok(Val::list(args[0].ty(), chunks).mark_if(args[1].is_sensitive()))
}

fn compact(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().unwrap_or_default().iter();
    let full = items.filter(|v| v.as_text().is_some_and(|t| !t.is_empty())).cloned().collect();
    Ok(Val::list(Type::String, full))
}

fn concat(args: &[Val], _: &dyn Host) -> Outcome {
    if args.is_empty() {
        return Err("at least one argument is required".into());
    }
    if args.iter().all(|v| matches!(v, Val::List(..))) {
        let types: Vec<Type> = args.iter().map(Val::ty).collect();
        if let Some(ty @ Type::List(_)) = unify(&types) {
            let mut all = Vec::new();
            for (i, arg) in args.iter().enumerate() {
                if let Val::List(_, items) = convert(arg.clone(), &ty).map_err(|e| at(i, e.to_string()))? {
                    all.extend(items);
                }
            }
            let Type::List(element) = ty else { unreachable!("matched above") };
            return Ok(Val::list(*element, all));
        }
    }
    let mut all = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        match arg {
            Val::List(_, items) | Val::Tuple(items) => all.extend(items.iter().cloned()),
            other => {
                let ty = other.ty().friendly();
                return Err(at(i, format!("all arguments must be lists or tuples; got {ty}")));
            }
        }
    }
    Ok(Val::Tuple(all))
}

fn distinct(args: &[Val], _: &dyn Host) -> Outcome {
    let Val::List(element, items) = &args[0] else { return Err(at(0, "a list is required")) };
    let mut seen = BTreeSet::new();
    // What is equal to something sensitive is as sensitive.
    let hidden: BTreeSet<Ordered<'_>> = items.iter().filter(|v| v.is_sensitive()).map(Ordered).collect();
    let once = items.iter().filter(|v| seen.insert(Ordered(v)));
    let once = once.map(|v| v.clone().mark_if(hidden.contains(&Ordered(v)))).collect();
    Ok(Val::list(element.clone(), once))
}

fn flatten(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().ok_or("can only flatten lists, sets and tuples")?;
    let mut out = Vec::new();
    Ok(if flat(items, &mut out) { Val::Tuple(out) } else { Val::DYNAMIC })
}

/// False if a list inside is not known.
fn flat(items: &[Val], out: &mut Vec<Val>) -> bool {
    items.iter().all(|item| match item {
        Val::Unknown(Type::Dynamic | Type::List(_) | Type::Set(_) | Type::Tuple(_)) => false,
        Val::List(_, inner) | Val::Set(_, inner) | Val::Tuple(inner) => flat(inner, out),
        other => {
            out.push(other.clone());
            true
        }
    })
}

fn range(args: &[Val], _: &dyn Host) -> Outcome {
    let one = |down: bool| Number::from(if down { -1_i64 } else { 1 });
    let (start, end, step) = match args.len() {
        1 => (Number::zero(), num(args, 0).clone(), one(num(args, 0).is_negative())),
        2 => {
            let (start, end) = (num(args, 0).clone(), num(args, 1).clone());
            let step = one(end < start);
            (start, end, step)
        }
        3 => (num(args, 0).clone(), num(args, 1).clone(), num(args, 2).clone()),
        _ => return Err("must have one, two, or three arguments".into()),
    };
    if step.is_zero() {
        return Err(at(2, "step must not be zero"));
    }
    let down = step.is_negative();
    if down && end > start {
        return Err(at(1, "end must be less than start when step is negative"));
    }
    if !down && end < start {
        return Err(at(1, "end must be greater than start when step is positive"));
    }
    let mut values = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if values.len() == MAX_RANGE {
            return Err(
                "more than 1024 values were generated; either decrease the difference between start \
                        and end or use a smaller step"
                    .into(),
            );
        }
        let following = next.add(&step).ok_or("opposite infinities have no sum")?;
        values.push(Val::number(std::mem::replace(&mut next, following)));
    }
    Ok(Val::list(Type::Number, values))
}

fn reverse_type(args: &[Val]) -> Type {
    match args.first().map(Val::ty) {
        Some(Type::Tuple(types)) => Type::Tuple(types.into_iter().rev().collect()),
        Some(Type::List(element) | Type::Set(element)) => Type::List(element),
        _ => Type::Dynamic,
    }
}

fn reverse(args: &[Val], _: &dyn Host) -> Outcome {
    let backwards = |items: &[Val]| items.iter().rev().cloned().collect();
    match &args[0] {
        Val::Tuple(items) => Ok(Val::Tuple(backwards(items))),
        Val::List(element, items) | Val::Set(element, items) => {
            Ok(Val::list(element.clone(), backwards(items)))
        }
        other => Err(at(0, format!("can only reverse list or tuple values, not {}", other.ty().friendly()))),
    }
}

/// The sets with elements of one type.
fn same_sets(args: &[Val]) -> Result<(Type, Vec<Vec<Val>>), Fault> {
    let mut types = Vec::new();
    for arg in args {
        match arg {
            Val::Set(Type::Dynamic, items) if items.is_empty() => {}
            Val::Set(element, _) => types.push(element.clone()),
            _ => {}
        }
    }
    let element = unify(&types).ok_or("given sets must all have compatible element types")?;
    let ty = Type::set(element.clone());
    let mut sets = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        match convert(arg.clone(), &ty).map_err(|e| at(i, e.to_string()))? {
            Val::Set(_, items) => sets.push(items),
            _ => return Err(at(i, "a set is required")),
        }
    }
    Ok((element, sets))
}

fn intersection(args: &[Val], _: &dyn Host) -> Outcome {
    let (element, sets) = same_sets(args)?;
    if !args.iter().all(Val::is_wholly_known) {
        return Ok(Val::Unknown(Type::set(element)));
    }
    let Some((first, others)) = sets.split_first() else { return Ok(Val::set(element, Vec::new())) };
    let mut common = Vec::new();
    for item in first {
        let found: Option<Vec<&Val>> =
            others.iter().map(|set| set.binary_search_by(|v| order(v, item)).ok().map(|i| &set[i])).collect();
        if let Some(found) = found {
            // What is equal to something sensitive is as sensitive.
            common.push(item.clone().mark_if(found.iter().any(|v| v.is_sensitive())));
        }
    }
    Ok(Val::set(element, common))
}

fn union(args: &[Val], _: &dyn Host) -> Outcome {
    let (element, sets) = same_sets(args)?;
    Ok(Val::set(element, sets.concat()))
}

fn setproduct(args: &[Val], _: &dyn Host) -> Outcome {
    if args.len() < 2 {
        return Err("at least two arguments are required".into());
    }
    let mut types = Vec::new();
    let mut columns = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        let ty = match arg {
            Val::List(element, _) | Val::Set(element, _) => element.clone(),
            Val::Tuple(items) => unify(&items.iter().map(Val::ty).collect::<Vec<_>>())
                .ok_or_else(|| at(i, "all elements must be of the same type"))?,
            _ => return Err(at(i, "a set or a list is required")),
        };
        let mut column = Vec::new();
        for item in arg.items().unwrap_or_default() {
            column.push(convert(item.clone(), &ty).map_err(|e| at(i, e.to_string()))?);
        }
        types.push(ty);
        columns.push(column);
    }
    let rows = columns.iter().try_fold(1_usize, |n, column| n.checked_mul(column.len()));
    let values = rows.and_then(|n| n.checked_mul(args.len() + 1)).unwrap_or(usize::MAX);
    Budget::default().items(values)?;
    if rows == Some(0) {
        // Otherwise the columns before the empty one would be multiplied, whatever their size.
        columns = vec![Vec::new()];
    }
    let mut product: Vec<Vec<Val>> = vec![Vec::new()];
    for column in &columns {
        let longer = product
            .iter()
            .flat_map(|row| column.iter().map(|v| row.iter().chain([v]).cloned().collect::<Vec<Val>>()));
        product = longer.collect();
    }
    let element = Type::Tuple(types);
    let rows = product.into_iter().map(Val::Tuple).collect();
    let sets = args.iter().any(|v| matches!(v, Val::Set(..)));
    Ok(if sets { Val::set(element, rows) } else { Val::list(element, rows) })
}

fn slice_type(args: &[Val]) -> Type {
    match args.first().map(Val::ty) {
        Some(ty @ Type::List(_)) => ty,
        _ => Type::Dynamic,
    }
}

fn slice(args: &[Val], _: &dyn Host) -> Outcome {
    let items = match &args[0] {
        Val::List(_, items) | Val::Tuple(items) => items,
        Val::Set(..) => {
            return Err(at(
                0,
                "cannot slice a set, because its elements do not have indices; explicitly convert to a list if \
                 the ordering of the result is not important",
            ));
        }
        _ => return Err(at(0, "must be a list or tuple value")),
    };
    let bound = |index: usize| -> Result<usize, Fault> {
        let n = usize::try_from(int(args, index)?).map_err(|_| at(index, "must not be less than zero"))?;
        if n > items.len() {
            return Err(at(index, "must not be greater than the length of the list"));
        }
        Ok(n)
    };
    let (start, end) = (bound(1)?, bound(2)?);
    if start > end {
        return Err(at(1, "start index must not be greater than end index"));
    }
    let part = items[start..end].to_vec();
    let out = match &args[0] {
        Val::List(element, _) => Val::list(element.clone(), part),
        _ => Val::Tuple(part),
    };
    Ok(out.mark_if(args[1].is_sensitive() || args[2].is_sensitive()))
}

fn sort(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().unwrap_or_default();
    if !args[0].is_wholly_known() {
        return Ok(Val::Unknown(strings()));
    }
    if let Some(i) = items.iter().position(Val::is_null) {
        return Err(format!("given list element {i} is null; a null string cannot be sorted").into());
    }
    let mut sorted = items.to_vec();
    sorted.sort_by_cached_key(|v| v.as_str().unwrap_or_default());
    Ok(Val::list(Type::String, sorted))
}
