//! Tests: `value is name`.

use super::{Call, Entry, required};
use crate::{
    base::Value,
    expression::{
        operators::{contains, equal, is_number, order},
        wrong::{Wrong, described},
    },
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::test("defined", "Does it exist? Null does.", ("null is defined", "true"), |_| {
        // Whoever calls has looked: what is not there never gets here.
        Ok(true.into())
    }),
    Entry::test("undefined", "Does it not exist?", ("{}.x is undefined", "true"), |_| {
        Ok(false.into())
    }),
    Entry::test("none", "Is it null?", ("null is none", "true"), |call| {
        Ok((*call.input == Value::Null).into())
    })
    .aliases(&["null"]),
    Entry::test("true", "Is it the boolean true?", ("true is true", "true"), |call| {
        Ok((*call.input == Value::Bool(true)).into())
    }),
    Entry::test("false", "Is it the boolean false?", ("0 is false", "false"), |call| {
        Ok((*call.input == Value::Bool(false)).into())
    }),
    Entry::test("boolean", "Is it true or false?", ("true is boolean", "true"), |call| {
        Ok(matches!(call.input, Value::Bool(_)).into())
    }),
    Entry::test("number", "Is it a number?", ("'5' is number", "false"), |call| {
        Ok(is_number(call.input).into())
    }),
    Entry::test("integer", "Is it an integer?", ("5 is integer", "true"), |call| {
        Ok(matches!(call.input, Value::Int(_)).into())
    }),
    Entry::test("decimal", "Is it an exact decimal?", ("5.0 is decimal", "true"), |call| {
        Ok(matches!(call.input, Value::Decimal(_)).into())
    }),
    Entry::test("string", "Is it text?", ("'5' is string", "true"), |call| {
        Ok(matches!(call.input, Value::Text(_) | Value::Secret(_)).into())
    })
    .aliases(&["text"]),
    Entry::test("mapping", "Is it a map?", ("{} is mapping", "true"), |call| {
        Ok(matches!(call.input, Value::Map(_)).into())
    }),
    Entry::test("sequence", "Is it a list?", ("[] is sequence", "true"), |call| {
        Ok(matches!(call.input, Value::List(_)).into())
    }),
    Entry::test("even", "Is the integer even?", ("4 is even", "true"), |call| {
        Ok((integer(call)? % 2 == 0).into())
    }),
    Entry::test("odd", "Is the integer odd?", ("4 is odd", "false"), |call| {
        Ok((integer(call)? % 2 != 0).into())
    }),
    Entry::test(
        "in",
        "Is it an item of the list, a part of the text, a key of the map?",
        ("'a' is in(['a', 'b'])", "true"),
        |call| Ok(contains(other(call), call.input)?.into()),
    )
    .takes(&[required("container")]),
    Entry::test("eq", "Is it equal to this?", ("[1, 2] | select('eq', 2)", "[2]"), |call| {
        Ok(equal(call.input, other(call))?.into())
    })
    .aliases(&["equalto", "=="])
    .takes(&[required("other")]),
    Entry::test("ne", "Is it different from this?", ("[1, 2] | select('ne', 2)", "[1]"), |call| {
        Ok((!equal(call.input, other(call))?).into())
    })
    .aliases(&["!="])
    .takes(&[required("other")]),
    Entry::test("lt", "Is it less than this?", ("[1, 2] | select('lt', 2)", "[1]"), |call| {
        Ok(order(call.input, other(call))?.is_lt().into())
    })
    .aliases(&["lessthan", "<"])
    .takes(&[required("other")]),
    Entry::test("le", "Is it this or less?", ("[1, 2] | select('le', 2)", "[1,2]"), |call| {
        Ok(order(call.input, other(call))?.is_le().into())
    })
    .aliases(&["<="])
    .takes(&[required("other")]),
    Entry::test("gt", "Is it greater than this?", ("[1, 2] | select('gt', 1)", "[2]"), |call| {
        Ok(order(call.input, other(call))?.is_gt().into())
    })
    .aliases(&["greaterthan", ">"])
    .takes(&[required("other")]),
    Entry::test("ge", "Is it this or greater?", ("[1, 2] | select('ge', 1)", "[1,2]"), |call| {
        Ok(order(call.input, other(call))?.is_ge().into())
    })
    .aliases(&[">="])
    .takes(&[required("other")]),
    Entry::test(
        "startingwith",
        "Does the text begin with this?",
        ("'capture-1' is startingwith('capture')", "true"),
        |call| Ok(call.text()?.starts_with(call.needed_text(0)?).into()),
    )
    .takes(&[required("part")]),
    Entry::test(
        "endingwith",
        "Does the text end with this?",
        ("'a.csv' is endingwith('.csv')", "true"),
        |call| Ok(call.text()?.ends_with(call.needed_text(0)?).into()),
    )
    .takes(&[required("part")]),
    Entry::test(
        "containing",
        "Does the text, list or map hold this?",
        ("'status: ok' is containing('ok')", "true"),
        |call| Ok(contains(call.input, other(call))?.into()),
    )
    .takes(&[required("part")]),
    Entry::test(
        "matching",
        "Does a regular expression match somewhere in the text?",
        (r"'took 340 ms' is matching('\\d+ ms$')", "true"),
        |call| {
            let text = call.text()?;
            Ok(call.budget.pattern(call.needed_text(0)?)?.is_match(text).into())
        },
    )
    .takes(&[required("pattern")]),
];

fn other<'a>(call: &Call<'a>) -> &'a Value {
    call.argument(0).unwrap_or(&Value::Null)
}

fn integer(call: &Call<'_>) -> Result<i128, Wrong> {
    match call.input {
        Value::Int(int) => Ok(*int),
        Value::Secret(_) => Err(call.takes("an integer", call.input)),
        other => Err(Wrong::types(format!(
            "`{}` takes an integer, not {}",
            call.entry.name,
            described(other)
        ))),
    }
}
