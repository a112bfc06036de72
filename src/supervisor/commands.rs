//! Single commands that several threads run and wait for, and one interruption for all of them.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CancelReason, EngineError, Finished, Pool, UnitEvent, UnitSpec};

/// The commands that are under way, so that an interruption reaches them: a hook may hang, a
/// fetch or a check-out may be long.
#[derive(Default)]
pub struct Commands(Mutex<UnderWay>);

#[derive(Default)]
struct UnderWay {
    cancelled: Option<CancelReason>,
    pools: Vec<Arc<Pool>>,
}

impl Commands {
    /// Ends those that run, and those that come.
    pub fn cancel(&self, reason: CancelReason) {
        let mut under_way = self.lock();
        under_way.cancelled = under_way.cancelled.max(Some(reason));
        for pool in &under_way.pools {
            pool.cancel(reason);
        }
    }

    /// Runs one to its end, and waits for it.
    pub fn run(&self, spec: UnitSpec) -> Result<Finished, EngineError> {
        let pool = Arc::new(Pool::new(Some(NonZeroUsize::MIN))?);
        {
            let mut under_way = self.lock();
            pool.submit(spec)?;
            if let Some(reason) = under_way.cancelled {
                pool.cancel(reason);
            }
            under_way.pools.push(Arc::clone(&pool));
        }
        let mut finished = Err(EngineError::Gone);
        while let Some(event) = pool.next(None) {
            if let UnitEvent::Finished(end) = event {
                finished = Ok(end);
                break;
            }
        }
        self.lock().pools.retain(|known| !Arc::ptr_eq(known, &pool));
        finished
    }

    /// Whether they were asked to end.
    pub fn are_cancelled(&self) -> bool {
        self.lock().cancelled.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
