//! The WebAssembly engine: settings, the linker with everything that the host offers, and the thread that makes
//! computing guests return to the scheduler. It is made when the first guest is compiled or called, never before.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, EngineWeak, ResourceLimiter};

use crate::bindings::host::fornax::plugin as api;
use crate::state::State;

/// How often a computing guest yields; also the precision with which it can be ended.
const TICK: Duration = Duration::from_millis(10);

/// Engine and linker, shared by all plugins.
pub struct Runtime {
    pub engine: Engine,
    pub linker: Linker<State>,
    ticker: Arc<Ticker>,
}

impl Runtime {
    pub fn new() -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.consume_fuel(true);
        config.wasm_component_model(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        api::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::ui::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::run::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::secrets::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::files::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::machine::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::artifacts::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::http::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        api::host_exec::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;
        let ticker = Ticker::start(engine.weak())?;
        Ok(Self { engine, linker, ticker })
    }

    /// While the guard lives, computing guests yield every 10 ms.
    pub fn ticking(&self) -> Ticking {
        self.ticker.change(1);
        Ticking(Arc::clone(&self.ticker))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let mut state = self.ticker.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stopped = true;
        self.ticker.changed.notify_all();
    }
}

#[derive(Default)]
struct TickerState {
    active: usize,
    stopped: bool,
}

struct Ticker {
    state: Mutex<TickerState>,
    changed: Condvar,
}

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let own = Arc::clone(&ticker);
        std::thread::Builder::new().name("fornax-epoch".into()).spawn(move || own.run(&engine))?;
        Ok(ticker)
    }

    fn run(&self, engine: &EngineWeak) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state = self
                .changed
                .wait_while(state, |s| s.active == 0 && !s.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            if state.stopped {
                return;
            }
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }

    fn change(&self, by: isize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = state.active == 0;
        state.active = state.active.saturating_add_signed(by);
        if idle {
            self.changed.notify_all();
        }
    }
}

/// Keeps the epoch running.
pub struct Ticking(Arc<Ticker>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.change(-1);
    }
}

/// Bounds what one instance takes: all its memories together, its tables, its core instances.
pub struct Limiter {
    pub limit: usize,
    used: usize,
    table_elements: usize,
}

/// All tables of an instance together.
const TABLE_ELEMENTS: usize = 1_000_000;

impl Limiter {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, table_elements: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            wasmtime::bail!("it wanted more than {} MiB of memory", self.limit / 1024 / 1024);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self.table_elements.saturating_add(desired.saturating_sub(current));
        if elements > TABLE_ELEMENTS {
            wasmtime::bail!("it wanted more than {TABLE_ELEMENTS} table elements");
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        100
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        10
    }
}
