//! Any sequence of operations against a model of what an execution may go
//! through: pending → running → ended, pending → ended, and running → pending
//! when it is given back. Counts are those of the rows.

use std::time::Duration;

use gantry::domain::execution::State;
use gantry::domain::outcome::Status;
use gantry::store::{ExecutionFilter, Page};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use crate::database::Database;
use crate::samples::{Invocations, NODE, claim, now, outcome, report};

/// Something that is done to one of the executions, by its place.
#[derive(Debug, Clone)]
enum Operation {
    Submit,
    Claim(usize),
    /// With this many attempts more, or fewer, than it had.
    GiveBack(usize, i8),
    EndPending(usize),
    Finish(usize, i8, Status),
    Forget(usize),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let place = || 0..4_usize;
    let off = || prop_oneof![4 => Just(0_i8), 1 => -1..2_i8];
    let status = prop_oneof![
        Just(Status::Completed),
        Just(Status::Failed),
        Just(Status::Timeout),
        Just(Status::Cancelled)
    ];
    let operation = prop_oneof![
        2 => Just(Operation::Submit),
        4 => place().prop_map(Operation::Claim),
        2 => (place(), off()).prop_map(|(place, off)| Operation::GiveBack(place, off)),
        1 => place().prop_map(Operation::EndPending),
        2 => (place(), off(), status).prop_map(|(place, off, it)| Operation::Finish(place, off, it)),
        1 => place().prop_map(Operation::Forget),
    ];
    proptest::collection::vec(operation, 1..40)
}

struct Modelled {
    id: Uuid,
    state: State,
    attempt: u32,
}

/// Does it, and holds the answer against the model.
async fn perform(
    database: &Database,
    invocations: &Invocations,
    model: &mut Vec<Modelled>,
    operation: &Operation,
) {
    let store = &database.store;
    let at = |place: usize| (!model.is_empty()).then(|| place % model.len().max(1));
    match *operation {
        Operation::Submit => {
            let id = invocations.submitted(store).await;
            model.push(Modelled { id, state: State::Pending, attempt: 0 });
        }
        Operation::Claim(place) => {
            let Some(it) = at(place).map(|place| &mut model[place]) else { return };
            let claimed = claim(store, it.id).await;
            assert_eq!(claimed.is_some(), it.state == State::Pending);
            if let Some(claimed) = claimed {
                (it.state, it.attempt) = (State::Running, it.attempt + 1);
                assert_eq!(claimed, it.attempt);
            }
        }
        Operation::GiveBack(place, off) => {
            let Some(it) = at(place).map(|place| &mut model[place]) else { return };
            let attempt = it.attempt.saturating_add_signed(off.into());
            let is_due = it.state == State::Running && attempt == it.attempt;
            assert_eq!(store.give_back(it.id, NODE, attempt, now()).await.unwrap(), is_due);
            if is_due {
                it.state = State::Pending;
            }
        }
        Operation::EndPending(place) => {
            let Some(it) = at(place).map(|place| &mut model[place]) else { return };
            let is_due = it.state == State::Pending;
            let outcome = outcome(Status::Cancelled);
            assert_eq!(store.end_pending(it.id, &outcome, now()).await.unwrap(), is_due);
            if is_due {
                it.state = State::Ended(Status::Cancelled);
            }
        }
        Operation::Finish(place, off, status) => {
            let Some(it) = at(place).map(|place| &mut model[place]) else { return };
            let attempt = it.attempt.saturating_add_signed(off.into());
            let is_due = it.state == State::Running && attempt == it.attempt;
            let report = report(status);
            let is_done = store.finish(it.id, NODE, attempt, Duration::ZERO, &report).await;
            assert_eq!(is_done.unwrap().is_some(), is_due);
            if is_due {
                it.state = State::Ended(status);
            }
        }
        Operation::Forget(place) => {
            let Some(place) = at(place) else { return };
            store.forget(&[model[place].id]).await.unwrap();
            if model[place].state.has_ended() {
                model.remove(place);
            }
        }
    }
}

async fn play(database: &Database, operations: &[Operation]) {
    let name = format!("s{}", Uuid::new_v4().simple());
    let invocations = Invocations::of(&database.store, &name).await;
    let script_id = Some(invocations.script.id);
    let mut model = Vec::new();
    for operation in operations {
        perform(database, &invocations, &mut model, operation).await;
    }
    for status in State::ALL {
        let filter =
            ExecutionFilter { script_id, status: Some(status), ..ExecutionFilter::default() };
        let mut expected: Vec<(Uuid, u32)> =
            model.iter().filter(|it| it.state == status).map(|it| (it.id, it.attempt)).collect();
        expected.reverse();
        let page = Page { limit: 100, offset: 0 };
        let found = database.store.executions(&filter, page).await.unwrap();
        let found: Vec<_> = found.iter().map(|it| (it.id, it.attempt)).collect();
        assert_eq!(found, expected, "{status}");
        let count = database.store.count_executions(&filter).await.unwrap();
        assert_eq!(count, expected.len() as i64, "{status}");
    }
}

fn any_sequence_is_as_the_model_says(database: impl Future<Output = Database>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let database = runtime.block_on(database);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(32) });
    runner
        .run(&operations(), |operations| {
            runtime.block_on(play(&database, &operations));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_sequence_is_as_the_model_says_on_sqlite() {
    any_sequence_is_as_the_model_says(Database::sqlite());
}

#[test]
fn any_sequence_is_as_the_model_says_on_postgres() {
    any_sequence_is_as_the_model_says(Database::postgres());
}
