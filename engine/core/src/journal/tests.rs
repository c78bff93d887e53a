//! The state machine and the undo plan, by cases and by random journals.

use proptest::prelude::*;

use super::*;
use crate::event::Ending;
use crate::secret::Secret;
use crate::testing::{journal, journal_with};

fn temporary(id: &str) -> Resource {
    Resource::new("thing", id, Lifetime::Temporary)
}

/// The ids of the plan, a list a level.
fn ids(state: &JournalState, ending: Ending) -> Vec<Vec<String>> {
    undo_plan(state, ending)
        .into_iter()
        .map(|level| level.into_iter().map(|item| item.resource.id).collect())
        .collect()
}

#[test]
fn a_journal_can_be_read_by_people_and_by_later_versions() {
    let (journal, store, _) = journal();
    let ticket = journal.begin(temporary("/a").within("/g").detail("region", "west")).unwrap();
    ticket.note("operation", "https://x/op/1").unwrap();
    ticket.done().unwrap();
    let lines: Vec<String> = store
        .lines()
        .iter()
        .map(|line| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["at"].as_str().unwrap().ends_with('Z'));
            value["at"] = "".into();
            value.to_string()
        })
        .collect();
    let expected = [
        r#"{"at":"","record":"header","format":1,"build_id":"b-1","run_id":"","build_name":"","builder_type":"","engine_version":"","plan_digest":"","simulated":false,"target":{},"invocation":{}}"#,
        r#"{"at":"","record":"began","entry":1,"resource":{"kind":"thing","id":"/a","lifetime":"temporary","within":"/g","details":{"region":"west"}}}"#,
        r#"{"at":"","record":"noted","entry":1,"details":{"operation":"https://x/op/1"}}"#,
        r#"{"at":"","record":"done","entry":1}"#,
    ];
    assert_eq!(lines, expected);
    let (state, whole) = JournalState::replay(&store.text()).unwrap();
    assert_eq!(whole, store.text().len());
    assert_eq!(state.entries()[0].resource.details["operation"], "https://x/op/1");
}

#[test]
fn no_secret_reaches_the_journal_and_its_own_words_stay() {
    let redactor = crate::Redactor::new();
    for secret in ["sub-7f3a-canary", "began", "thing"] {
        redactor.register(&Secret::new(secret));
    }
    let (journal, store, _) = journal_with(redactor);
    let resource = temporary("/subscriptions/sub-7f3a-canary/x")
        .within("/subscriptions/sub-7f3a-canary")
        .detail("url", "https://x/sub-7f3a-canary");
    let ticket = journal.begin(resource).unwrap();
    ticket.note("operation", "https://x/sub-7f3a-canary").unwrap();
    ticket.failed("sub-7f3a-canary was refused").unwrap();
    assert!(!store.text().contains("sub-7f3a-canary"), "{}", store.text());
    let (state, _) = JournalState::replay(&store.text()).unwrap();
    assert_eq!(state.entries()[0].resource.id, "/subscriptions/<sensitive>/x");
    assert_eq!(state.entries()[0].resource.kind, "thing");
    // The running build undoes by the true id.
    assert_eq!(ids(&journal.state(), Ending::Failed), [["/subscriptions/sub-7f3a-canary/x"]]);
}

#[test]
fn only_legal_facts_are_recorded() {
    let (journal, store, _) = journal();
    let ticket = journal.begin(temporary("/a")).unwrap();
    let refused = [
        Fact::Header(Header::default()),
        Fact::Closed,
        Fact::Kept { entry: 1 },
        Fact::UndoDone { entry: 1, outcome: Undone::Deleted },
        Fact::UndoFailed { entry: 1, error: String::new() },
        Fact::Done { entry: 2, details: serde_json::Map::new() },
        Fact::Done { entry: 0, details: serde_json::Map::new() },
        Fact::Began { entry: 3, resource: temporary("/b"), uses: vec![] },
        Fact::Began { entry: 2, resource: temporary("/b"), uses: vec![7] },
    ];
    let before = store.lines();
    for fact in refused {
        assert!(matches!(journal.record(fact.clone()), Err(JournalError::Illegal { .. })), "{fact:?}");
    }
    assert_eq!(store.lines(), before);
    ticket.done().unwrap();
    assert!(journal.record(Fact::Failed { entry: 1, error: String::new() }).is_err());
    journal.record(Fact::UndoBegan { entry: 1 }).unwrap();
    journal.record(Fact::UndoDone { entry: 1, outcome: Undone::Deleted }).unwrap();
    assert!(journal.record(Fact::UndoBegan { entry: 1 }).is_err());
    journal.close().unwrap();
    assert!(journal.begin(temporary("/c")).is_err());
    assert!(JournalState::replay(&store.text()).unwrap().0.is_closed());
}

#[test]
fn what_is_torn_is_ignored_and_what_is_damaged_refused() {
    let (journal, store, _) = journal();
    journal.begin(temporary("/a")).unwrap().done().unwrap();
    let whole = store.text();
    let lines = store.lines();
    for torn in ["{", "{\"at\":\"", "garbage\n", "\0\0\0", lines[2].as_str()] {
        let (state, length) = JournalState::replay(&format!("{whole}{torn}")).unwrap();
        assert_eq!(length, whole.len(), "{torn:?}");
        assert_eq!(state.entries().len(), 1);
    }
    let error = |text: &str| JournalState::replay(text).unwrap_err().to_string();
    assert!(
        error(&format!("{}\nbroken\n{}\n", lines[0], lines[1]))
            .starts_with("line 2 of the journal is damaged")
    );
    let twice = error(&format!("{whole}{}\n", lines[2]));
    assert_eq!(
        twice,
        "line 4 of the journal contradicts the lines before it: record done for entry 1, which is done"
    );
    assert!(error(&format!("{}\n", lines[1])).contains("before the header"));
    for empty in ["", "{\"at\":\"20"] {
        assert!(matches!(JournalState::replay(empty), Err(ReplayError::Empty)));
    }
    let newer = lines[0].replace("\"format\":1", "\"format\":9");
    assert!(matches!(JournalState::replay(&format!("{newer}\n")), Err(ReplayError::Newer { found: 9 })));
    let strange = r#"{"at":"","record":"overture","format":9}"#;
    assert!(matches!(
        JournalState::replay(&format!("{strange}\n{}\n", lines[1])),
        Err(ReplayError::Newer { .. })
    ));
}

#[test]
fn undo_goes_from_the_newest_to_the_oldest_and_runs_together_what_is_independent() {
    let (journal, ..) = journal();
    // Three at once, then one that refers to them, then the machine with its disk.
    let three: Vec<Ticket> =
        ["/net", "/ip", "/nsg"].iter().map(|id| journal.begin(temporary(id)).unwrap()).collect();
    three.into_iter().for_each(|ticket| ticket.done().unwrap());
    journal.begin(temporary("/nic")).unwrap().done().unwrap();
    let disk = journal.begin(temporary("/disk")).unwrap();
    let machine = journal.begin_using(temporary("/vm"), &[&disk]).unwrap();
    let state = journal.state();
    assert_eq!(
        ids(&state, Ending::Failed),
        [vec!["/vm"], vec!["/disk"], vec!["/nic"], vec!["/nsg", "/ip", "/net"]]
    );
    assert!(undo_plan(&state, Ending::Failed)[0][0].covers.is_empty());
    assert!(!undo_plan(&state, Ending::Failed)[0][0].settled);
    drop((disk, machine));
}

#[test]
fn a_group_of_ours_is_deleted_once_and_a_product_outlives_a_good_build() {
    let (journal, _, sink) = journal();
    journal.begin(temporary("/g")).unwrap().done().unwrap();
    journal.begin(temporary("/G/net").within("/G")).unwrap().done().unwrap();
    journal.begin(temporary("/g/net/sub").within("/g/net")).unwrap().done().unwrap();
    journal.begin(Resource::new("image", "/img", Lifetime::Product)).unwrap().done().unwrap();
    let late = journal.begin(temporary("/g/late").within("/g")).unwrap();
    let state = journal.state();
    assert_eq!(ids(&state, Ending::Succeeded), [["/g"]]);
    assert_eq!(undo_plan(&state, Ending::Succeeded)[0][0].covers, [2, 3, 5]);
    assert_eq!(ids(&state, Ending::Failed), [["/img"], ["/g"]]);
    drop(late);
    journal.record(Fact::Kept { entry: 4 }).unwrap();
    journal.record(Fact::UndoBegan { entry: 1 }).unwrap();
    journal.record(Fact::UndoDone { entry: 1, outcome: Undone::Deleted }).unwrap();
    journal.close().unwrap();
    let deleted: Vec<String> = sink.lines().into_iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(deleted, ["- /G/net", "- /g/net/sub", "- /g/late", "- /g"]);
}

#[test]
fn a_group_that_is_not_ours_covers_nothing() {
    let (journal, ..) = journal();
    journal.begin(temporary("/g")).unwrap().failed("conflict").unwrap();
    journal.begin(temporary("/g/net").within("/g")).unwrap().done().unwrap();
    journal.record(Fact::UndoBegan { entry: 1 }).unwrap();
    journal.record(Fact::UndoDone { entry: 1, outcome: Undone::NotOurs }).unwrap();
    assert_eq!(ids(&journal.state(), Ending::Failed), [["/g/net"]]);
}

#[test]
fn attempts_at_the_same_resource_are_undone_once() {
    let (journal, ..) = journal();
    journal.begin(temporary("/vm")).unwrap().failed("no capacity").unwrap();
    journal.begin(temporary("/VM")).unwrap().failed("no capacity").unwrap();
    let last = journal.begin(temporary("/vm")).unwrap();
    let plan = undo_plan(&journal.state(), Ending::Failed);
    assert_eq!(plan.len(), 1);
    assert_eq!((plan[0][0].entry, plan[0][0].covers.as_slice()), (3, &[1, 2][..]));
    drop(last);
}

/// What a build may do next.
#[derive(Clone, Debug)]
enum Act {
    Begin { product: bool, within: Option<usize>, uses: Option<usize>, same_as: Option<usize> },
    Note(usize),
    Done(usize),
    Fail(usize),
    Keep(usize),
    Undo(usize),
    UndoDone(usize, Undone),
    UndoFail(usize),
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    let which = || 0usize..8;
    let maybe = || proptest::option::weighted(0.3, which());
    let outcome = prop::sample::select(vec![Undone::Deleted, Undone::Absent, Undone::NotOurs]);
    prop_oneof![
        4 => (any::<bool>(), maybe(), maybe(), proptest::option::weighted(0.1, which()))
            .prop_map(|(product, within, uses, same_as)| Act::Begin { product, within, uses, same_as }),
        1 => which().prop_map(Act::Note),
        4 => which().prop_map(Act::Done),
        2 => which().prop_map(Act::Fail),
        1 => which().prop_map(Act::Keep),
        2 => which().prop_map(Act::Undo),
        2 => (which(), outcome).prop_map(|(n, outcome)| Act::UndoDone(n, outcome)),
        1 => which().prop_map(Act::UndoFail),
        1 => Just(Act::Close),
    ]
}

fn fact_of(act: &Act, state: &JournalState) -> Fact {
    let count = state.entries().len();
    let entry = |n: &usize| if count == 0 { 1 } else { (n % count) as u64 + 1 };
    let id_of = |n: &usize| state.entry(entry(n)).map(|e| e.resource.id.clone());
    match act {
        Act::Begin { product, within, uses, same_as } => {
            let lifetime = if *product { Lifetime::Product } else { Lifetime::Temporary };
            let id = same_as.as_ref().and_then(id_of).unwrap_or_else(|| format!("/{}", count + 1));
            let mut resource = Resource::new("thing", id.clone(), lifetime);
            resource.within = within.as_ref().and_then(id_of).filter(|within| *within != id);
            let uses = uses.as_ref().filter(|_| count > 0).map(entry).into_iter().collect();
            Fact::Began { entry: state.next_entry(), resource, uses }
        }
        Act::Note(n) => Fact::Noted { entry: entry(n), details: serde_json::Map::new() },
        Act::Done(n) => Fact::Done { entry: entry(n), details: serde_json::Map::new() },
        Act::Fail(n) => Fact::Failed { entry: entry(n), error: "e".into() },
        Act::Keep(n) => Fact::Kept { entry: entry(n) },
        Act::Undo(n) => Fact::UndoBegan { entry: entry(n) },
        Act::UndoDone(n, outcome) => Fact::UndoDone { entry: entry(n), outcome: *outcome },
        Act::UndoFail(n) => Fact::UndoFailed { entry: entry(n), error: "e".into() },
        Act::Close => Fact::Closed,
    }
}

/// All entries that a plan deals with, each once.
fn dealt_with(plan: &[Vec<UndoItem>]) -> Vec<u64> {
    let mut all: Vec<u64> =
        plan.iter().flatten().flat_map(|item| item.covers.iter().copied().chain([item.entry])).collect();
    all.sort_unstable();
    all.dedup();
    all
}

proptest! {
    #[test]
    fn random_journals_obey_the_machine(acts in proptest::collection::vec(act(), 0..40)) {
        let (journal, store, _) = journal();
        for act in &acts {
            let fact = fact_of(act, &journal.state());
            let legal = journal.state().check(&fact).is_ok();
            prop_assert_eq!(journal.record(fact).is_ok(), legal);
        }
        let lines = store.lines();
        // The process may die after any record, or in the middle of the next one.
        for end in 1..=lines.len() {
            let text: String = lines[..end].iter().map(|line| format!("{line}\n")).collect();
            let torn: String = lines.get(end).map(|l| l[..l.len() / 2].to_owned()).unwrap_or_default();
            let (state, whole) = JournalState::replay(&format!("{text}{torn}")).unwrap();
            prop_assert_eq!(whole, text.len());

            // Everything that began and is not settled as gone or kept is dealt with.
            let open: Vec<u64> = state.open_entries().map(|e| e.number).collect();
            let plan = undo_plan(&state, Ending::Failed);
            prop_assert_eq!(&dealt_with(&plan), &open);
            let good = dealt_with(&undo_plan(&state, Ending::Succeeded));
            for entry in state.open_entries() {
                let product = entry.resource.lifetime == Lifetime::Product && entry.status == Status::Done;
                prop_assert!(good.contains(&entry.number) || product);
            }
            // No two deletions for one thing.
            for item in plan.iter().flatten() {
                let others = plan.iter().flatten().filter(|other| other.entry != item.entry);
                prop_assert!(others.clone().all(|other| !other.covers.contains(&item.entry)));
            }
            // What may depend on something is gone before it.
            for (level, item) in plan.iter().enumerate().flat_map(|(n, l)| l.iter().map(move |i| (n, i))) {
                let entry = state.entry(item.entry).unwrap();
                for (lower, older) in plan.iter().enumerate().flat_map(|(n, l)| l.iter().map(move |i| (n, i))) {
                    let newer = older.entry < item.entry;
                    if newer && (entry.after.contains(&older.entry) || entry.uses.contains(&older.entry)) {
                        prop_assert!(level < lower, "{} before {}", item.entry, older.entry);
                    }
                }
            }
            // Carrying the plan out is legal and leaves nothing.
            let mut state = state;
            let apply = |state: &mut JournalState, fact| {
                state.apply(&Record { at: String::new(), fact })
            };
            for item in plan.iter().flatten() {
                let began = apply(&mut state, Fact::UndoBegan { entry: item.entry });
                prop_assert!(began.is_ok());
                let done = Fact::UndoDone { entry: item.entry, outcome: Undone::Deleted };
                prop_assert!(apply(&mut state, done).is_ok());
            }
            prop_assert_eq!(state.open_entries().count(), 0);
            if !state.is_closed() {
                prop_assert!(apply(&mut state, Fact::Closed).is_ok());
            }
        }
    }
}
