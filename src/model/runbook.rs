//! What was written, checked: a runbook with the place of every node.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;

use crate::{
    base::{Digest, Place, Source, Value},
    expression::{Escape, Expression, Scope, Template},
    model::action_spec::Effect,
};

/// A runbook. Plain data: it can be made again from its files alone.
#[derive(Clone, Debug)]
pub struct Runbook {
    /// The file itself.
    pub source: Arc<Source>,
    /// Every file that belongs to it, itself first: what the digest covers and the journal keeps.
    pub files: Vec<Arc<Source>>,
    /// Digest over paths and texts of all files.
    pub digest: Digest,
    /// Title.
    pub name: String,
    /// When to use it.
    pub description: String,
    /// Who keeps it.
    pub owner: String,
    /// For finding it.
    pub tags: Vec<String>,
    /// Where it may run; empty: everywhere.
    pub environments: Vec<(String, Place)>,
    /// What the operator gives.
    pub inputs: IndexMap<String, InputSpec>,
    /// Values computed once at the start, in order; each may use inputs and earlier ones.
    pub vars: IndexMap<String, Tree>,
    /// Names of which only one run at a time may hold each.
    pub locks: Vec<Tree>,
    /// The run fails when it takes longer, waiting for people not counted.
    pub timeout: Option<Duration>,
    /// The steps.
    pub steps: Vec<Step>,
    /// Steps after a failure and its rollback.
    pub on_failure: Vec<Step>,
    /// Steps at the end, always.
    pub finally: Vec<Step>,
}

impl Runbook {
    /// Every call of an action, also those inside of changes.
    pub fn calls(&self) -> Vec<&ActionCall> {
        let mut out = Vec::new();
        for step in self.all_steps() {
            match &step.body {
                Body::Action(call) => out.push(call),
                Body::Change(change) => {
                    out.extend(&change.capture);
                    out.push(&change.apply);
                    if let Undo::Action(call) = &change.undo {
                        out.push(call);
                    }
                }
                _ => {}
            }
        }
        out
    }

    /// Every step in the order in which it is written, nested ones behind their parent.
    pub fn all_steps(&self) -> Vec<&Step> {
        fn walk<'a>(steps: &'a [Step], out: &mut Vec<&'a Step>) {
            for step in steps {
                out.push(step);
                if let Body::Group(steps) = &step.body {
                    walk(steps, out);
                }
            }
        }
        let mut out = Vec::new();
        for steps in [&self.steps, &self.on_failure, &self.finally] {
            walk(steps, &mut out);
        }
        out
    }
}

/// What the operator gives.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// Its type.
    pub kind: InputKind,
    /// For the person who is asked.
    pub description: String,
    /// What it is when it is not given; then it is not required.
    pub default: Option<Value>,
    /// Smallest number, inclusive.
    pub minimum: Option<Value>,
    /// Largest number, inclusive.
    pub maximum: Option<Value>,
    /// Regular expression that the whole text must match.
    pub pattern: Option<String>,
    /// The only values allowed.
    pub one_of: Vec<Value>,
    /// Not shown, masked wherever it appears.
    pub sensitive: bool,
    /// Where it is defined.
    pub place: Place,
}

/// Types of inputs and of fields of manual steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// An exact decimal.
    Decimal,
    /// True or false.
    Boolean,
    /// A span of time.
    Duration,
    /// A date.
    Date,
    /// A point in time, or a date and time without zone.
    Time,
    /// A list.
    List,
    /// A map.
    Map,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique in the runbook.
    pub id: String,
    /// Where the id stands.
    pub place: Place,
    /// Title; the id when absent. May hold templates.
    pub name: Option<Template>,
    /// For the reader.
    pub description: Option<String>,
    /// Skipped when this is false.
    pub when: Option<Expression>,
    /// Done once for each item.
    pub foreach: Option<Foreach>,
    /// Tried again when it fails, or until a condition holds.
    pub retry: Option<Retry>,
    /// Time for one attempt.
    pub timeout: Option<Duration>,
    /// What must hold afterwards.
    pub expect: Vec<Expectation>,
    /// What later steps see instead of the result.
    pub outputs: IndexMap<String, Expression>,
    /// What a failure means for the run.
    pub on_error: OnError,
    /// Earlier undos don't depend on this step's.
    pub independent: bool,
    /// What is done.
    pub body: Body,
}

/// What a failure means for the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Undo what was changed, then fail.
    #[default]
    Rollback,
    /// Fail and leave things as they are.
    Stop,
    /// Note it and go on.
    Continue,
}

/// Done once for each item.
#[derive(Clone, Debug)]
pub struct Foreach {
    /// Gives the list.
    pub items: Expression,
    /// What the item is called.
    pub name: String,
}

/// Tried again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// At most so often, the first try counted.
    pub attempts: u32,
    /// Time before the second attempt.
    pub delay: Duration,
    /// Each later delay is the one before times this.
    pub backoff: f64,
    /// Tried again until this holds, also when the attempt succeeded.
    pub until: Option<Expression>,
}

/// What must hold.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The condition.
    pub that: Expression,
    /// What to say when it does not hold.
    pub message: Option<Template>,
    /// A finding, not a failure.
    pub warn: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Body {
    /// An action: a read, a change that knows how to undo itself, or a bare change.
    Action(ActionCall),
    /// A change made of actions.
    Change(Box<Change>),
    /// Steps in order.
    Group(Vec<Step>),
    /// Expectations alone.
    Check,
    /// Markdown for the report.
    Note(Template),
    /// A person.
    Manual(Manual),
    /// Ends the run early.
    Stop(Stop),
}

/// An action with its written arguments.
#[derive(Clone, Debug)]
pub struct ActionCall {
    /// The action's name.
    pub action: String,
    /// Where the name stands.
    pub place: Place,
    /// Arguments by name.
    pub arguments: IndexMap<String, Tree>,
    /// What it does here, as the action's rule says for these arguments.
    pub effect: Effect,
}

impl ActionCall {
    /// The target's name, which is fixed text.
    pub fn target(&self) -> Option<&str> {
        self.fixed("on")
    }

    /// An argument that is fixed text.
    pub fn fixed(&self, name: &str) -> Option<&str> {
        match &self.arguments.get(name)?.node {
            TreeNode::Constant(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A flag that is fixed.
    pub fn flag(&self, name: &str) -> bool {
        matches!(
            self.arguments.get(name).map(|t| &t.node),
            Some(TreeNode::Constant(Value::Bool(true)))
        )
    }
}

/// A change made of actions.
#[derive(Clone, Debug)]
pub struct Change {
    /// Looks at the state before and after.
    pub capture: Option<ActionCall>,
    /// Makes the change.
    pub apply: ActionCall,
    /// How it is undone.
    pub undo: Undo,
}

/// How a change is undone.
#[derive(Clone, Debug)]
pub enum Undo {
    /// By this.
    Action(ActionCall),
    /// It can't be: why.
    Irreversible(String),
    /// There is nothing to undo: why.
    NotNeeded(String),
}

/// A person does or judges something.
#[derive(Clone, Debug)]
pub struct Manual {
    /// What to do, in Markdown.
    pub instructions: Template,
    /// What the person enters; empty: a bare confirmation.
    pub fields: IndexMap<String, InputSpec>,
}

/// Ends the run early.
#[derive(Clone, Debug)]
pub struct Stop {
    /// As a success?
    pub succeeded: bool,
    /// Why.
    pub message: Option<Template>,
}

/// A written value: constants, templates, lists and maps of them, with places.
#[derive(Clone, Debug)]
pub struct Tree {
    /// What.
    pub node: TreeNode,
    /// Where.
    pub place: Place,
}

/// The kinds of a written value.
#[derive(Clone, Debug)]
pub enum TreeNode {
    /// No template in it.
    Constant(Value),
    /// Text with templates, and how they are rendered here.
    Template(Template, Escape),
    /// A list.
    List(Vec<Tree>),
    /// A map.
    Map(IndexMap<String, Tree>),
}

impl Tree {
    /// Fills in every template.
    pub fn render(&self, scope: &dyn Scope) -> Result<Value, crate::expression::Failure> {
        Ok(match &self.node {
            TreeNode::Constant(value) => value.clone(),
            TreeNode::Template(template, escape) => template.render(scope, *escape)?,
            TreeNode::List(items) => {
                Value::List(items.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?)
            }
            TreeNode::Map(map) => Value::Map(
                map.iter()
                    .map(|(k, t)| Ok((k.clone(), t.render(scope)?)))
                    .collect::<Result<_, crate::expression::Failure>>()?,
            ),
        })
    }

    /// Every template in it.
    pub fn templates(&self) -> Vec<&Template> {
        match &self.node {
            TreeNode::Constant(_) => Vec::new(),
            TreeNode::Template(template, _) => vec![template],
            TreeNode::List(items) => items.iter().flat_map(Tree::templates).collect(),
            TreeNode::Map(map) => map.values().flat_map(Tree::templates).collect(),
        }
    }
}

impl Step {
    /// Does this step itself change something?
    pub fn changes(&self) -> bool {
        match &self.body {
            Body::Action(call) => call.effect != Effect::Read,
            Body::Change(_) => true,
            _ => false,
        }
    }

    /// Can the state that this step changes be captured?
    pub fn captures(&self) -> bool {
        match &self.body {
            Body::Action(call) => call.effect == Effect::Reversible,
            Body::Change(change) => change.capture.is_some(),
            _ => false,
        }
    }

    /// How this step's change is undone: by itself (`Ok(true)`), there is nothing to undo
    /// (`Ok(false)`), or why it can't be.
    pub fn reversibility(&self) -> Result<bool, String> {
        match &self.body {
            Body::Action(call) if call.effect == Effect::Reversible => Ok(true),
            Body::Action(call) if call.effect == Effect::Change => {
                Err(format!("`{}` outside of `change:` has no rollback", call.action))
            }
            Body::Change(change) => match &change.undo {
                Undo::Action(_) => Ok(true),
                Undo::NotNeeded(_) => Ok(false),
                Undo::Irreversible(why) => Err(why.clone()),
            },
            _ => Ok(false),
        }
    }
}
