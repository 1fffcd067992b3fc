//! Moving bytes that others may write at the same time.
//!
//! `ptr::copy` would not do: the compiler may assume that nobody writes meanwhile, and a caller in safe code that
//! breaks the contract's rules would break the language's. Two ways are left. The *portable* one moves aligned words
//! and single bytes by relaxed atomic accesses. On x86-64 the same is written in *instructions*, which the compiler
//! must treat as such accesses, but which also move 16 bytes at once at any alignment and long runs at the speed of
//! the memory.
//!
//! Neither promises an order; the atomic words of the arena do that. Ordinary stores and string moves both become
//! visible before a store that follows them.

#[cfg(target_arch = "x86_64")]
use instructions as way;
#[cfg(not(target_arch = "x86_64"))]
use portable as way;

/// Copies out of the arena.
///
/// # Safety
/// `from` must be valid for atomic access and `to` for writes of `len` bytes, and `to` must be the caller's alone.
#[inline]
pub(super) unsafe fn out(to: *mut u8, from: *mut u8, len: usize) {
    // SAFETY: the caller's promise; memory that is the caller's alone does not overlap the arena.
    unsafe { way::out(to, from, len) }
}

/// Copies into the arena.
///
/// # Safety
/// `to` must be valid for atomic access and `from` for reads of `len` bytes, and nobody may write to `from`.
#[inline]
pub(super) unsafe fn into(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise; memory that nobody writes does not overlap the arena.
    unsafe { way::into(to, from, len) }
}

/// Copies within the arena, as if the source had been read first.
///
/// # Safety
/// Both must be valid for atomic access of `len` bytes.
#[inline]
pub(super) unsafe fn within(to: *mut u8, from: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { way::within(to, from, len) }
}

/// Whether going up from the first byte would overwrite source bytes before they are read.
#[inline]
fn must_go_down(to: *const u8, from: *const u8, len: usize) -> bool {
    to.addr().wrapping_sub(from.addr()).wrapping_sub(1) < len.saturating_sub(1)
}

/// x86-64: every move is an instruction of its own.
#[cfg(target_arch = "x86_64")]
mod instructions {
    use super::must_go_down;
    use std::arch::asm;

    /// From this length on one string instruction is faster than a loop, its long start included.
    const LONG: usize = 512;

    pub(super) unsafe fn out(to: *mut u8, from: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { up(to, from, len) }
    }

    pub(super) unsafe fn into(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { up(to, from, len) }
    }

    pub(super) unsafe fn within(to: *mut u8, from: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if must_go_down(to, from, len) {
                down(to, from, len);
            } else {
                up(to, from, len);
            }
        }
    }

    #[inline]
    unsafe fn up(to: *mut u8, from: *const u8, len: usize) {
        if len >= LONG {
            // SAFETY: the caller's promise.
            return unsafe { move_string(to, from, len) };
        }
        let mut done = 0;
        // SAFETY: each move ends at or before `len`.
        unsafe {
            while len - done >= 16 {
                move_16(to.add(done), from.add(done));
                done += 16;
            }
            if len - done >= 8 {
                move_8(to.add(done), from.add(done));
                done += 8;
            }
            while done < len {
                move_1(to.add(done), from.add(done));
                done += 1;
            }
        }
    }

    /// Each move reads all its bytes before it writes them, so going down in pieces is as good as byte by byte.
    unsafe fn down(to: *mut u8, from: *const u8, len: usize) {
        let mut left = len;
        // SAFETY: each move begins at or behind the first byte.
        unsafe {
            while left >= 16 {
                left -= 16;
                move_16(to.add(left), from.add(left));
            }
            if left >= 8 {
                left -= 8;
                move_8(to.add(left), from.add(left));
            }
            while left > 0 {
                left -= 1;
                move_1(to.add(left), from.add(left));
            }
        }
    }

    /// One byte after the other, upwards, as the instruction is defined: so it may also overlap what it reads.
    #[inline]
    unsafe fn move_string(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: it touches the bytes that the caller vouches for. The direction flag is clear at every call.
        unsafe {
            asm!(
                "rep movsb",
                inout("rdi") to => _,
                inout("rsi") from => _,
                inout("rcx") len => _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn move_16(to: *mut u8, from: *const u8) {
        // SAFETY: it touches the 16 bytes that the caller vouches for.
        unsafe {
            asm!(
                "movups {bytes}, [{from}]",
                "movups [{to}], {bytes}",
                bytes = out(xmm_reg) _,
                from = in(reg) from,
                to = in(reg) to,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn move_8(to: *mut u8, from: *const u8) {
        // SAFETY: it touches the 8 bytes that the caller vouches for.
        unsafe {
            asm!(
                "mov {bytes}, [{from}]",
                "mov [{to}], {bytes}",
                bytes = out(reg) _,
                from = in(reg) from,
                to = in(reg) to,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn move_1(to: *mut u8, from: *const u8) {
        // SAFETY: it touches the byte that the caller vouches for.
        unsafe {
            asm!(
                "mov {byte}, [{from}]",
                "mov [{to}], {byte}",
                byte = out(reg_byte) _,
                from = in(reg) from,
                to = in(reg) to,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// Everywhere else: relaxed atomic accesses on the arena's side, ordinary ones on the caller's. Words and bytes of them
/// are accessed side by side, which every processor with 64-bit atomics allows.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::must_go_down;
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

    const WORD: usize = size_of::<u64>();

    pub(super) unsafe fn out(to: *mut u8, from: *mut u8, len: usize) {
        // SAFETY: the caller's promise; a word is only read from the arena where it is aligned.
        let byte = |at| unsafe { to.add(at).write(AtomicU8::from_ptr(from.add(at)).load(Relaxed)) };
        // SAFETY: as above.
        let word = |at| unsafe {
            let value = AtomicU64::from_ptr(from.add(at).cast()).load(Relaxed);
            to.add(at).cast::<u64>().write_unaligned(value);
        };
        up(from.align_offset(WORD), len, byte, word);
    }

    pub(super) unsafe fn into(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: the caller's promise; a word is only written to the arena where it is aligned.
        let byte = |at| unsafe { AtomicU8::from_ptr(to.add(at)).store(from.add(at).read(), Relaxed) };
        // SAFETY: as above.
        let word = |at| unsafe {
            let value = from.add(at).cast::<u64>().read_unaligned();
            AtomicU64::from_ptr(to.add(at).cast()).store(value, Relaxed);
        };
        up(to.align_offset(WORD), len, byte, word);
    }

    pub(super) unsafe fn within(to: *mut u8, from: *mut u8, len: usize) {
        // SAFETY: the caller's promise; words are only used where both sides are aligned.
        let byte = |at| unsafe {
            let value = AtomicU8::from_ptr(from.add(at)).load(Relaxed);
            AtomicU8::from_ptr(to.add(at)).store(value, Relaxed);
        };
        // SAFETY: as above.
        let word = |at| unsafe {
            let value = AtomicU64::from_ptr(from.add(at).cast()).load(Relaxed);
            AtomicU64::from_ptr(to.add(at).cast()).store(value, Relaxed);
        };
        let alike = to.addr() % WORD == from.addr() % WORD;
        let first_word = if alike { from.align_offset(WORD) } else { len };
        if must_go_down(to, from, len) {
            down(first_word, len, byte, word);
        } else {
            up(first_word, len, byte, word);
        }
    }

    /// Where the words begin and end among `len` bytes.
    fn words(first: usize, len: usize) -> (usize, usize) {
        let begin = first.min(len);
        (begin, begin + (len - begin) / WORD * WORD)
    }

    fn up(first: usize, len: usize, byte: impl Fn(usize), word: impl Fn(usize)) {
        let (begin, end) = words(first, len);
        (0..begin).for_each(&byte);
        (begin..end).step_by(WORD).for_each(word);
        (end..len).for_each(&byte);
    }

    fn down(first: usize, len: usize, byte: impl Fn(usize), word: impl Fn(usize)) {
        let (begin, end) = words(first, len);
        (end..len).rev().for_each(&byte);
        (begin..end).step_by(WORD).rev().for_each(word);
        (0..begin).rev().for_each(&byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Within = unsafe fn(*mut u8, *mut u8, usize);
    type Out = unsafe fn(*mut u8, *mut u8, usize);
    type Into = unsafe fn(*mut u8, *const u8, usize);

    const SIZE: usize = 2048;

    /// Short and long, aligned and not, apart and overlapping in both directions.
    fn cases() -> impl Iterator<Item = (usize, usize, usize)> {
        let lengths = (0..40).chain([63, 64, 100, 511, 512, 513, 1000]);
        lengths.flat_map(|len| {
            [
                (0, 1024),
                (1024, 3),
                (5, 1024),
                (64, 64),
                (64, 65),
                (65, 64),
                (64, 72),
                (72, 64),
                (80, 83),
                (83, 67),
            ]
            .map(|(to, from)| (to, from, len))
        })
    }

    fn pattern() -> Vec<u64> {
        let bytes: Vec<u8> = (0..SIZE).map(|index| (index * 7 + index / 256) as u8).collect();
        bytes
            .chunks(8)
            .map(|word| u64::from_ne_bytes(word.try_into().unwrap()))
            .collect()
    }

    fn bytes_of(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn check_within(within: Within) {
        for (to, from, len) in cases() {
            let mut words = pattern();
            let mut expected = bytes_of(&words);
            expected.copy_within(from..from + len, to);
            let first = words.as_mut_ptr().cast::<u8>();
            // SAFETY: every case ends before `SIZE`, and the vector is this test's alone.
            unsafe { within(first.add(to), first.add(from), len) };
            assert_eq!(bytes_of(&words), expected, "{len} bytes from {from} to {to}");
        }
    }

    fn check_out_and_into(out: Out, into: Into) {
        for (to, from, len) in cases() {
            let mut words = pattern();
            let mut expected = bytes_of(&words);
            let mut private = vec![0; len + 1];
            let first = words.as_mut_ptr().cast::<u8>();
            // SAFETY: every case ends before `SIZE`, and both vectors are this test's alone.
            unsafe { out(private.as_mut_ptr(), first.add(from), len) };
            assert_eq!(
                private[..len],
                expected[from..from + len],
                "{len} bytes out of {from}"
            );
            assert_eq!(private[len], 0, "{len} bytes out of {from}: one too many");
            // SAFETY: as above.
            unsafe { into(first.add(to), private.as_ptr(), len) };
            expected[to..to + len].copy_from_slice(&private[..len]);
            assert_eq!(bytes_of(&words), expected, "{len} bytes into {to}");
        }
    }

    #[test]
    fn the_portable_way_copies_like_a_slice() {
        check_within(portable::within);
        check_out_and_into(portable::out, portable::into);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_instructions_copy_like_a_slice() {
        check_within(instructions::within);
        check_out_and_into(instructions::out, instructions::into);
    }

    #[test]
    fn only_a_target_inside_the_source_goes_down() {
        let at = |raw: usize| std::ptr::without_provenance::<u8>(raw);
        assert!(must_go_down(at(101), at(100), 2));
        assert!(!must_go_down(at(102), at(100), 2));
        assert!(!must_go_down(at(100), at(100), 2));
        assert!(!must_go_down(at(99), at(100), 2));
        assert!(!must_go_down(at(101), at(100), 0));
    }
}
