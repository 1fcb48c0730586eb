//! The actions of the fake world: `toy.read`, `toy.set`, `toy.do`.
//!
//! Owns how they behave when nothing is wrong. What goes wrong, the world says.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runward::{
    base::Value,
    diagnostics::codes,
    language::Catalogue,
    model::{
        ActionSpec, EffectRule, Fault,
        action_spec::{Abilities, ArgumentKind as Kind, argument, field},
    },
    ports::{Action, Actions, Arguments, Captured, Preview, StepContext},
};

use crate::world::{Did, Phase, Thing, World};

/// What the actions are.
pub fn catalogue() -> Catalogue {
    specs().into_iter().map(|spec| (spec.name.clone(), spec)).collect()
}

/// The actions on this world.
pub fn actions(world: &Arc<World>) -> Actions {
    let toy = |spec: ActionSpec| {
        let action: Arc<dyn Action> = Arc::new(Toy { world: Arc::clone(world), spec });
        (action.spec().name.clone(), action)
    };
    specs().into_iter().map(toy).collect::<BTreeMap<_, _>>()
}

fn specs() -> [ActionSpec; 3] {
    let thing = || argument("thing", Kind::Text, true, "which thing");
    let number = |name: &str, required| argument(name, Kind::Any, required, "a whole number");
    let spec = |name: &str, effect, arguments, result: &[&str]| ActionSpec {
        name: name.into(),
        summary: "a toy".into(),
        effect,
        arguments,
        result: result.iter().map(|name| field(name, "number", "a toy")).collect(),
        ..ActionSpec::default()
    };
    let mut set =
        spec("toy.set", EffectRule::Reversible, vec![thing(), number("to", true)], &["changed"]);
    set.abilities = Abilities { capture: true, preview: true, undo: true };
    [
        spec("toy.read", EffectRule::Read, vec![thing()], &["value", "mark"]),
        set,
        spec(
            "toy.do",
            EffectRule::Change,
            vec![thing(), number("to", false), number("add", false)],
            &["changed"],
        ),
    ]
}

struct Toy {
    world: Arc<World>,
    spec: ActionSpec,
}

impl Toy {
    async fn look(&self, cx: &StepContext, arguments: &Arguments) -> Result<Thing, Fault> {
        let thing = arguments.required_text("thing")?;
        self.world.meet(cx, Phase::Look, &thing).await?;
        Ok(self.world.thing(&thing))
    }
}

fn number(arguments: &Arguments, name: &str) -> Result<Option<i64>, Fault> {
    Ok(arguments.int(name)?.map(|number| i64::try_from(number).unwrap()))
}

fn moved(found: Thing, expected: Thing) -> Fault {
    let message = format!("it is {found:?}, no longer {expected:?}");
    Fault::untouched(codes::RW0602, message)
}

#[async_trait]
impl Action for Toy {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn run(&self, cx: &StepContext, arguments: &Arguments) -> Result<Value, Fault> {
        if self.spec.name == "toy.read" {
            return Ok(self.look(cx, arguments).await?.state());
        }
        // A plain change does not know what it is used for; the journal does.
        let did = self.world.announced(&cx.node).unwrap_or(Did::Apply);
        let phase = if did == Did::Undo { Phase::Undo } else { Phase::Apply };
        let thing = arguments.required_text("thing")?;
        let trouble = self.world.meet(cx, phase, &thing).await?;
        let from = self.world.thing(&thing);
        let to = match (number(arguments, "to")?, number(arguments, "add")?) {
            (Some(to), _) => Thing::both(to),
            (None, add) => {
                let add = add.unwrap_or_default();
                Thing { value: from.value + add, mark: from.mark + add }
            }
        };
        self.world.effect(cx, did, &thing, to, trouble.as_ref())
    }

    async fn capture(&self, cx: &StepContext, arguments: &Arguments) -> Result<Captured, Fault> {
        let state = self.look(cx, arguments).await?.state();
        Ok(Captured { state, key: Vec::new(), identity: "the toy box".into() })
    }

    async fn preview(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Preview, Fault> {
        let thing = arguments.required_text("thing")?;
        self.world.meet(cx, Phase::Preview, &thing).await?;
        let to = number(arguments, "to")?.unwrap_or_default();
        Ok(Preview {
            after: Thing::both(to).state(),
            statement: format!("set {thing} to {to}"),
            undo: format!("set {thing} to {}", before.state),
        })
    }

    async fn apply(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
    ) -> Result<Value, Fault> {
        let thing = arguments.required_text("thing")?;
        let trouble = self.world.meet(cx, Phase::Apply, &thing).await?;
        let (found, expected) = (self.world.thing(&thing), Thing::from_state(&before.state));
        if found != expected {
            return Err(moved(found, expected));
        }
        let to = Thing::both(number(arguments, "to")?.unwrap_or_default());
        self.world.effect(cx, Did::Apply, &thing, to, trouble.as_ref())
    }

    async fn undo(
        &self,
        cx: &StepContext,
        arguments: &Arguments,
        before: &Captured,
        after: Option<&Captured>,
    ) -> Result<Value, Fault> {
        let thing = arguments.required_text("thing")?;
        let trouble = self.world.meet(cx, Phase::Undo, &thing).await?;
        let (found, before) = (self.world.thing(&thing), Thing::from_state(&before.state));
        if found == before {
            return Ok(Value::map([("changed", Value::Bool(false))]));
        }
        if let Some(after) = after.map(|a| Thing::from_state(&a.state)).filter(|a| *a != found) {
            return Err(moved(found, after));
        }
        self.world.effect(cx, Did::Undo, &thing, before, trouble.as_ref())
    }
}
