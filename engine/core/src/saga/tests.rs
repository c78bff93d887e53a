//! The saga with a service that answers as it is told, in paused time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::builder::{Provision, ProvisionError};
use crate::journal::{JournalState, Resource, Undone};
use crate::testing::{Answers, MemoryStore, Recorder, journal};

/// Answers of the service, by id; what is not named is deleted at once.
#[derive(Default)]
struct Service {
    answers: Mutex<HashMap<String, Vec<Result<Undone, UndoError>>>>,
    /// Seconds that a deletion takes.
    slow: HashMap<String, u64>,
    calls: Mutex<Vec<String>>,
}

impl Service {
    fn answering(id: &str, answers: Vec<Result<Undone, UndoError>>) -> Self {
        Self { answers: Mutex::new(HashMap::from([(id.to_owned(), answers)])), ..Self::default() }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Undo for Service {
    async fn undo(&self, resource: &Resource, settled: bool) -> Result<Undone, UndoError> {
        self.calls.lock().unwrap().push(format!("{}{}", resource.id, if settled { "" } else { "?" }));
        if let Some(seconds) = self.slow.get(&resource.id) {
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
        }
        match self.answers.lock().unwrap().get_mut(&resource.id) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => Ok(Undone::Deleted),
        }
    }
}

/// Fails so many times.
#[derive(Default)]
struct Provisioners {
    failures: AtomicU32,
    cleaned_up: AtomicU32,
}

#[async_trait]
impl Provision for Provisioners {
    async fn provision(&self, _: Option<Arc<dyn Communicator>>, _: BuildData) -> Result<(), ProvisionError> {
        match self.failures.load(Ordering::SeqCst) {
            0 => Ok(()),
            left => {
                self.failures.store(left - 1, Ordering::SeqCst);
                Err(ProvisionError::Failed("script failed".into()))
            }
        }
    }

    async fn error_cleanup(&self, _: Option<Arc<dyn Communicator>>, _: BuildData) {
        self.cleaned_up.fetch_add(1, Ordering::SeqCst);
    }
}

struct World {
    context: RunContext,
    store: Arc<MemoryStore>,
    sink: Arc<Recorder>,
    provisioners: Arc<Provisioners>,
    prompt: Arc<Answers>,
}

fn world(on_error: OnError, answers: &str) -> World {
    let (journal, store, sink) = journal();
    let provisioners = Arc::new(Provisioners::default());
    let prompt = Answers::new(answers);
    let context = RunContext {
        events: BuildEvents::new(sink.clone(), "web"),
        journal,
        provision: provisioners.clone(),
        prompt: prompt.clone(),
        cancel: CancellationToken::new(),
        abandon: CancellationToken::new(),
        on_error,
        debug: false,
        force: false,
        redactor: crate::Redactor::new(),
        simulated: false,
    };
    World { context, store, sink, provisioners, prompt }
}

fn temporary(id: &str) -> Resource {
    Resource::new("thing", id, Lifetime::Temporary)
}

async fn create(saga: &Saga, id: &str) -> Result<(), BuildError> {
    saga.step(id, async {
        let ticket = saga.journal().begin(temporary(id))?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ticket.done()
    })
    .await
}

async fn capture(saga: &Saga) -> Result<(), BuildError> {
    saga.step("capture", async {
        let ticket = saga.journal().begin(Resource::new("image", "/img", Lifetime::Product))?;
        ticket.done()
    })
    .await
}

async fn fail(saga: &Saga) -> Result<(), BuildError> {
    saga.step("boot", async { Err::<(), _>(BuildError::Failed("no capacity".into())) }).await
}

fn closed(world: &World) -> bool {
    JournalState::replay(&world.store.text()).unwrap().0.is_closed()
}

#[tokio::test(start_paused = true)]
async fn a_good_build_keeps_its_product_only() {
    let world = world(OnError::Cleanup, "");
    let service = Service::default();
    let saga = Saga::new(&world.context);
    let result = async {
        create(&saga, "/a").await?;
        create(&saga, "/b").await?;
        saga.provision(None, BuildData::new()).await?;
        capture(&saga).await
    }
    .await;
    assert!(result.is_ok());
    assert!(saga.finish(&result, &service).await.is_empty());
    assert_eq!(service.calls(), ["/b", "/a"]);
    assert!(closed(&world));
    let lines = world.sink.lines();
    let expected = [
        "> /a",
        "+ /a",
        "< /a Succeeded 2s",
        "> /b",
        "+ /b",
        "< /b Succeeded 2s",
        "> Provisioning",
        "< Provisioning Succeeded 0s",
        "> capture",
        "+ /img",
        "< capture Succeeded 0s",
        "- /b",
        "- /a",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_failed_build_undoes_its_product_too() {
    let world = world(OnError::Cleanup, "");
    let service = Service::default();
    let saga = Saga::new(&world.context);
    let result = async {
        create(&saga, "/a").await?;
        capture(&saga).await?;
        fail(&saga).await
    }
    .await;
    assert!(saga.finish(&result, &service).await.is_empty());
    assert_eq!(service.calls(), ["/img", "/a"]);
    assert!(closed(&world));
    assert!(world.sink.lines().contains(&"error: no capacity".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_creation_is_looked_for_until_it_can_not_appear_any_more() {
    let world = world(OnError::Cleanup, "");
    // The service creates it only after it was asked twice.
    let service = Service::answering("/a", vec![Ok(Undone::Absent), Ok(Undone::Absent), Ok(Undone::Deleted)]);
    let saga = Saga::new(&world.context);
    let cancel = world.context.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    let result = create(&saga, "/a").await;
    assert!(matches!(result, Err(BuildError::Cancelled)));
    // No forward work any more.
    assert!(matches!(create(&saga, "/b").await, Err(BuildError::Cancelled)));
    assert!(saga.finish(&result, &service).await.is_empty());
    assert_eq!(service.calls(), ["/a?", "/a?", "/a?"]);
    assert_eq!(world.sink.lines(), ["> /a", "< /a Cancelled 1s", "- /a"]);
    assert!(closed(&world));
}

#[tokio::test(start_paused = true)]
async fn what_never_appears_is_absent_after_the_settling_time() {
    let world = world(OnError::Cleanup, "");
    let service = Service::answering("/a", vec![Ok(Undone::Absent)]);
    let saga = Saga::new(&world.context);
    let _ = world.context.journal.begin(temporary("/a")).unwrap();
    let started = tokio::time::Instant::now();
    let remains = saga.finish(&Err::<(), _>(BuildError::Cancelled), &service).await;
    assert!(remains.is_empty());
    assert!(started.elapsed() >= Duration::from_secs(9) && started.elapsed() <= Duration::from_secs(11));
    assert!(closed(&world));
    // What was never there is not told to be deleted.
    assert!(world.sink.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_stops_no_other_and_hides_nothing() {
    let world = world(OnError::Cleanup, "");
    let service = Service::answering("/b", vec![Err(UndoError::fatal("locked by policy"))]);
    let saga = Saga::new(&world.context);
    for id in ["/a", "/b", "/c"] {
        create(&saga, id).await.unwrap();
    }
    let result = fail(&saga).await;
    let remains = saga.finish(&result, &service).await;
    assert_eq!(service.calls(), ["/c", "/b", "/a"]);
    assert_eq!(remains.len(), 1);
    assert_eq!((remains[0].id.as_str(), remains[0].reason.as_str()), ("/b", "locked by policy"));
    assert!(matches!(result, Err(BuildError::Failed(error)) if error == "no capacity"));
    assert!(!closed(&world));
    assert!(world.sink.lines().contains(&"! /b: locked by policy".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn undo_tries_again_with_longer_and_longer_pauses() {
    let world = world(OnError::Cleanup, "");
    let busy = || Err(UndoError::retryable("still in use"));
    let service = Service::answering("/a", vec![busy(), busy(), busy(), Ok(Undone::Deleted)]);
    let saga = Saga::new(&world.context);
    create(&saga, "/a").await.unwrap();
    let started = tokio::time::Instant::now();
    assert!(saga.finish(&Ok(()), &service).await.is_empty());
    assert_eq!(started.elapsed().as_secs(), 1 + 2 + 4);

    let world = self::world(OnError::Cleanup, "");
    let service = Service::answering("/a", vec![busy()]);
    let settings = UndoSettings { limit: Duration::from_secs(60), ..UndoSettings::default() };
    let saga = Saga::new(&world.context).with_undo_settings(settings);
    create(&saga, "/a").await.unwrap();
    let started = tokio::time::Instant::now();
    let remains = saga.finish(&Ok(()), &service).await;
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(remains[0].reason, "it was not gone after 1m");
}

#[tokio::test(start_paused = true)]
async fn independent_undos_run_at_once_and_a_second_interrupt_stops_them() {
    let slow = HashMap::from(["/a", "/b", "/c"].map(|id| (id.to_owned(), 100)));
    let world = world(OnError::Cleanup, "");
    let service = Service { slow: slow.clone(), ..Service::default() };
    let saga = Saga::new(&world.context);
    let (a, b) = tokio::join!(create(&saga, "/a"), create(&saga, "/b"));
    a.and(b).unwrap();
    create(&saga, "/c").await.unwrap();
    let started = tokio::time::Instant::now();
    assert!(saga.finish(&Ok(()), &service).await.is_empty());
    assert_eq!(started.elapsed().as_secs(), 200);

    let world = self::world(OnError::Cleanup, "");
    let service = Service { slow, ..Service::default() };
    let saga = Saga::new(&world.context);
    for id in ["/a", "/b"] {
        create(&saga, id).await.unwrap();
    }
    let abandon = world.context.abandon.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(50)).await;
        abandon.cancel();
    });
    let started = tokio::time::Instant::now();
    let remains = saga.finish(&Err::<(), _>(BuildError::Cancelled), &service).await;
    assert_eq!(started.elapsed().as_secs(), 50);
    assert_eq!(remains.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["/b", "/a"]);
    assert!(!closed(&world));
    // Another process finds both.
    let (state, _) = JournalState::replay(&world.store.text()).unwrap();
    assert_eq!(state.open_entries().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn abort_leaves_everything_and_says_so() {
    let world = world(OnError::Abort, "");
    let service = Service::default();
    let saga = Saga::new(&world.context);
    create(&saga, "/a").await.unwrap();
    let result = fail(&saga).await;
    let remains = saga.finish(&result, &service).await;
    assert!(service.calls().is_empty());
    assert_eq!(remains[0].reason, "left because of -on-error=abort");
    assert!(!closed(&world));
    let lines = world.sink.lines();
    assert_eq!(
        lines[lines.len() - 4..],
        [
            "error: Step \"boot\" failed, aborting...",
            "error: aborted: skipping cleanup of step \"boot\"",
            "error: aborted: skipping cleanup of step \"/a\"",
            "! /a: left because of -on-error=abort",
        ]
    );

    // A good build is undone nevertheless.
    let world = self::world(OnError::Abort, "");
    let saga = Saga::new(&world.context);
    create(&saga, "/a").await.unwrap();
    assert!(saga.finish(&Ok(()), &service).await.is_empty());
    assert_eq!(service.calls(), ["/a"]);
}

#[tokio::test(start_paused = true)]
async fn asked_the_user_decides() {
    // (answers, failures of the step, tries expected, undone)
    for (answers, failures, tries, undone) in
        [("c", 9, 1, true), ("a", 9, 1, false), ("rrc", 9, 3, true), ("r", 1, 2, true), ("", 9, 1, true)]
    {
        let world = world(OnError::Ask, answers);
        let service = Service::default();
        let saga = Saga::new(&world.context);
        create(&saga, "/a").await.unwrap();
        let count = AtomicU32::new(0);
        let result = saga
            .retryable_step("boot", async || {
                let fails = count.fetch_add(1, Ordering::SeqCst) < failures;
                if fails { Err(BuildError::Failed("no".into())) } else { Ok(()) }
            })
            .await;
        assert_eq!(count.load(Ordering::SeqCst), tries, "{answers:?}");
        assert_eq!(result.is_ok(), failures < tries, "{answers:?}");
        let remains = saga.finish(&result, &service).await;
        assert_eq!(remains.is_empty(), undone, "{answers:?}");
        assert_eq!(service.calls().is_empty(), !undone, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn provisioning_is_retried_or_cleaned_up_as_the_user_says() {
    // (answers, failures, succeeds, error-cleanup provisioner runs)
    for (answers, failures, succeeds, cleaned) in
        [("r", 1, true, 0), ("c", 9, false, 1), ("a", 9, false, 0), ("rc", 9, false, 1)]
    {
        let world = world(OnError::Ask, answers);
        world.provisioners.failures.store(failures, Ordering::SeqCst);
        let saga = Saga::new(&world.context);
        let result = saga.provision(None, BuildData::new()).await;
        assert_eq!(result.is_ok(), succeeds, "{answers:?}");
        assert_eq!(world.provisioners.cleaned_up.load(Ordering::SeqCst), cleaned, "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn debug_pauses_after_each_step_and_before_cleanup() {
    let mut world = world(OnError::Cleanup, "");
    world.context.debug = true;
    let saga = Saga::new(&world.context);
    create(&saga, "/a").await.unwrap();
    saga.finish(&Ok(()), &Service::default()).await;
    assert_eq!(
        *world.prompt.questions.lock().unwrap(),
        [
            "Pausing after run of step '/a'. Press enter to continue.",
            "Pausing before cleanup. Press enter to continue."
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_is_one_deletion_unless_it_is_not_ours() {
    let world = world(OnError::Cleanup, "");
    let journal = &world.context.journal;
    journal.begin(temporary("/g")).unwrap().done().unwrap();
    journal.begin(temporary("/g/net").within("/g")).unwrap().done().unwrap();
    let service = Service::default();
    assert!(Saga::new(&world.context).finish(&Ok(()), &service).await.is_empty());
    assert_eq!(service.calls(), ["/g"]);
    assert!(closed(&world));

    let world = self::world(OnError::Cleanup, "");
    let journal = &world.context.journal;
    journal.begin(temporary("/g")).unwrap().failed("exists").unwrap();
    journal.begin(temporary("/g/net").within("/g")).unwrap().done().unwrap();
    let service = Service::answering("/g", vec![Ok(Undone::NotOurs)]);
    assert!(Saga::new(&world.context).finish(&Ok(()), &service).await.is_empty());
    assert_eq!(service.calls(), ["/g", "/g/net"]);
    assert!(closed(&world));

    let world = self::world(OnError::Cleanup, "");
    let journal = &world.context.journal;
    journal.begin(temporary("/g")).unwrap().done().unwrap();
    journal.begin(temporary("/g/net").within("/g")).unwrap().done().unwrap();
    let service = Service::answering("/g", vec![Err(UndoError::fatal("locked"))]);
    let remains = Saga::new(&world.context).finish(&Ok(()), &service).await;
    assert_eq!(remains.len(), 1);
    assert_eq!(remains[0].reason, "locked; 1 more resource goes with it");
    assert_eq!(service.calls(), ["/g"]);
}
