//! The memory of password hashes: used again by the next one, and given back soon after the last.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use argon2::{Block, Params};
use tokio::{runtime::Handle, time::Instant};
use zerocart_postgres::BoxFuture;

/// How long memory is kept for the next hash. Under load the next one begins at once. A process that waits
/// for a request must not hold 19 MiB meanwhile.
const KEPT: Duration = Duration::from_secs(1);

/// What is reserved for a hash, of which only what a hash writes to becomes memory.
///
/// Above 32 MiB, glibc takes such a piece from the system and gives it back, independent of earlier frees
/// (`M_MMAP_THRESHOLD` of mallopt(3): its dynamic threshold ends there); musl does so from 128 KiB on.
const RESERVED_BLOCKS: usize = 33 << 10;

/// The memory of the hashes of a process. A clone shares it.
///
/// Memory of argon2's own choice does not go back: the allocator keeps such a piece for the next one, for each
/// thread that has ever hashed and often for several of each, so that a rush of 200 sign-ins left 20 times as
/// much as was in use at once. Memory that goes back with each hash costs 4,865 page faults for each, which are
/// a third of its time. So a piece is taken by one hash after the other, and all go back when none has hashed
/// for a second. There are never more pieces than hashes at once.
///
/// A piece is not wiped in between. That would cost a tenth of a hash, and protect little: the next hash
/// overwrites it, or the system gets it back, which wipes it before anybody else has it. Nobody but this process
/// can read it. A program that could would also find the passwords in the requests themselves.
#[derive(Clone, Default)]
pub(crate) struct Arena(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    free: Vec<Vec<Block>>,
    /// When a piece was last put back; none while nobody waits to give the pieces back to the system.
    since: Option<Instant>,
}

impl Arena {
    /// Memory for one hash; as much as its parameters ask for, with any content.
    pub(crate) fn take(&self, params: &Params) -> Piece {
        let kept = self.state().free.pop();
        let mut blocks = kept.unwrap_or_else(|| {
            let mut blocks = Vec::with_capacity(RESERVED_BLOCKS);
            zerocart_pages::prefer_huge(blocks.spare_capacity_mut());
            blocks
        });
        if blocks.len() < params.block_count() {
            blocks.resize(params.block_count(), Block::default());
        }
        Piece {
            blocks,
            arena: self.clone(),
        }
    }

    /// The bytes that are kept.
    #[cfg(test)]
    fn kept(&self) -> usize {
        let state = self.state();
        state
            .free
            .iter()
            .map(|blocks| blocks.len() * Block::SIZE)
            .sum()
    }

    fn put(&self, blocks: Vec<Block>) {
        // Without a runtime, as in a program that hashes once, nobody would give it back.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        // Parameters of another version may have asked for more.
        if blocks.capacity() != RESERVED_BLOCKS {
            return;
        }
        let mut state = self.state();
        state.free.push(blocks);
        if state.since.replace(Instant::now()).is_none() {
            // In a box, as other tasks: one kind of task is less code in the binary.
            runtime.spawn(Box::pin(self.clone().give_back()) as BoxFuture<'_, _>);
        }
    }

    /// Gives the pieces back to the system when none was put back for a while.
    async fn give_back(self) {
        let mut at = Instant::now() + KEPT;
        loop {
            tokio::time::sleep_until(at).await;
            let mut state = self.state();
            match state.since.map(|since| since + KEPT) {
                Some(later) if later > Instant::now() => at = later,
                _ => {
                    state.since = None;
                    let free = std::mem::take(&mut state.free);
                    drop(state);
                    return drop(free);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").finish_non_exhaustive()
    }
}

/// The memory of one hash. Dropped, it is kept for the next.
pub(crate) struct Piece {
    blocks: Vec<Block>,
    arena: Arena,
}

impl AsMut<[Block]> for Piece {
    fn as_mut(&mut self) -> &mut [Block] {
        &mut self.blocks
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.arena.put(std::mem::take(&mut self.blocks));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_piece_is_used_again_and_goes_back_after_the_last() {
        let arena = Arena::default();
        let params = Params::DEFAULT;
        let size = params.block_count() * Block::SIZE;
        let start = |piece: &mut Piece| piece.as_mut().as_ptr().addr();
        let mut one = arena.take(&params);
        let mut other = arena.take(&params);
        assert_ne!(start(&mut one), start(&mut other));
        let first = start(&mut one);
        drop(one);
        assert_eq!(arena.kept(), size);
        let mut again = arena.take(&params);
        assert_eq!(start(&mut again), first);
        drop(other);
        drop(again);
        assert_eq!(arena.kept(), 2 * size);

        // As long as somebody hashes they are kept.
        for _ in 0..3 {
            tokio::time::sleep(KEPT * 2 / 3).await;
            drop(arena.take(&params));
        }
        assert_eq!(arena.kept(), 2 * size);
        tokio::time::sleep(KEPT * 2).await;
        assert_eq!(arena.kept(), 0);
        // And so it is the next time.
        drop(arena.take(&params));
        assert_eq!(arena.kept(), size);
        tokio::time::sleep(KEPT * 2).await;
        assert_eq!(arena.kept(), 0);
    }

    #[test]
    fn without_a_runtime_nothing_is_kept() {
        let arena = Arena::default();
        drop(arena.take(&Params::DEFAULT));
        assert_eq!(arena.kept(), 0);
    }
}
