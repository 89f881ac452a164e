//! Keeping memory that a server is going to need again in a moment.
//!
//! The C library gives free memory at the end of its heap back to the kernel as soon as there are 128 KiB of it, and
//! asks for it again with the next batch of messages: with bodies of 1 KiB a tenth of a broker's time went into page
//! faults. It learns from what it sees, though: whoever frees a large block that had come from the kernel is taken for
//! somebody who does so often, and up to twice as much is kept from then on (mallopt(3), M_MMAP_THRESHOLD). Other
//! allocators take no notice.

/// Has the allocator keep some megabytes of free memory from now on. Costs two calls of the kernel, and no memory.
pub fn keep_free_memory() {
    // It is never written to, so that no page of it ever exists; and never optimised away.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LEARNT_BYTES)));
}

/// Twice this is kept. Blocks of this size and more still come from the kernel and go back to it.
const LEARNT_BYTES: usize = 4 << 20;

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Page faults of this thread that took no disk: field 10, counted after the name in parentheses.
    fn faults() -> Option<u64> {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(7)?.parse().ok()
    }

    /// Uses and frees 2 MiB in blocks, as a batch of messages does.
    fn batch() {
        let blocks: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 2048]).collect();
        std::hint::black_box(blocks);
    }

    #[test]
    fn a_batch_finds_the_memory_of_the_one_before() {
        keep_free_memory();
        batch();
        let before = faults().unwrap();
        (0..10).for_each(|_| batch());
        // 2 MiB have 512 pages: given back, they would come back ten times.
        let more = faults().unwrap() - before;
        assert!(more < 512, "{more}");
    }
}
