//! Huge pages for memory that is used as a whole.
//!
//! The system makes memory from 4 KiB pages, when each is first used. For 19 MiB these are 4,864 page faults,
//! which cost a third of the password hash that needs the memory. With huge pages of 2 MiB they are about 500,
//! nearly all of them in front of the first huge page.
//!
//! No maintained crate gives this advice without unsafe code for memory that holds values of a type. So this
//! crate has one unsafe block. It is a crate of its own because unsafe code is forbidden in all others.

use std::mem::MaybeUninit;

/// Asks the system to make `memory` from huge pages, as far as it is not used yet.
///
/// This is a wish. Where the system has no huge pages or does not allow them, nothing changes, and nothing is
/// said. The pages at both ends are huge only if they lie in the same mapping as `memory`.
pub fn prefer_huge<T>(memory: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    advise(memory);
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe way to give this advice")]
fn advise<T>(memory: &mut [MaybeUninit<T>]) {
    let range = memory.as_mut_ptr_range();
    // SAFETY: sysconf reads a number. madvise(2) does not read or write through the address, and
    // MADV_HUGEPAGE changes neither the content of memory nor whether it can be used, but only the size of the
    // pages that the kernel makes it from. That holds for the beginning of the first page, too, which may
    // belong to somebody else. For a range that is not mapped it fails, and changes nothing.
    unsafe {
        let Ok(page) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) else {
            return;
        };
        // The address must be that of a page. The allocator's own few bytes lie in front of `memory`.
        let start = range.start.map_addr(|address| address & !(page - 1));
        let length = range.end.addr() - start.addr();
        // EINVAL where the kernel has no huge pages: then they are small.
        libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::fs;

    /// Whether the mapping that holds `address` is advised to have huge pages.
    fn is_advised(address: usize) -> bool {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            let first = line.split(' ').next().unwrap();
            if let Some((from, to)) = first.split_once('-') {
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                inside = (number(from)..number(to)).contains(&address);
            }
            if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.split_whitespace().any(|flag| flag == "hg");
            }
        }
        panic!("{address:x} is mapped");
    }

    #[test]
    fn memory_is_advised_and_stays_as_it_was() {
        let knows = fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap();
        let mut memory: Vec<u64> = Vec::with_capacity(8 << 20);
        memory.extend(0..1000);
        let spare = memory.spare_capacity_mut();
        let middle = spare[spare.len() / 2].as_ptr().addr();
        assert!(!is_advised(middle));
        prefer_huge(spare);
        assert_eq!(is_advised(middle), knows);
        memory.resize(8 << 20, 7);
        assert!(memory.iter().take(1000).copied().eq(0..1000));
        assert!(memory.iter().skip(1000).all(|n| *n == 7));
        // Nothing is no memory.
        prefer_huge::<u64>(&mut []);
    }
}
