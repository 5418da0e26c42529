//! Whether a file is a static program for one processor, from its ELF header.
//!
//! The offsets are those of `Elf64_Ehdr` and `Elf64_Phdr` (`man 5 elf`).

use std::path::Path;

use crate::{Architecture, Error};

/// 64 bits, little-endian.
const IDENT: &[u8] = b"\x7fELF\x02\x01";

/// `e_type` of a program at a fixed address, and of one that can be anywhere.
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// `p_type` of the segment that names the dynamic loader.
const PT_INTERP: u32 = 3;

/// `e_machine` of each architecture.
fn machine(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::Amd64 => 62,
        Architecture::Arm64 => 183,
    }
}

/// Refuses what an image of this one file could not run.
pub(crate) fn check(path: &Path, file: &[u8], wanted: Architecture) -> Result<(), Error> {
    let Some(header) = Header::read(file) else {
        return Err(Error::NotElf { path: path.into() });
    };
    if header.machine != machine(wanted) {
        let known = Architecture::ALL.into_iter();
        let found = known
            .map(|known| (machine(known), known.name().to_owned()))
            .find(|(machine, _)| *machine == header.machine)
            .map_or_else(|| format!("ELF machine {}", header.machine), |(_, n)| n);
        let path = path.into();
        return Err(Error::OtherArchitecture {
            path,
            found,
            wanted,
        });
    }
    if header.has_loader {
        return Err(Error::Dynamic { path: path.into() });
    }
    Ok(())
}

struct Header {
    machine: u16,
    has_loader: bool,
}

impl Header {
    /// None if it is no program, or cut off.
    fn read(file: &[u8]) -> Option<Self> {
        if !file.starts_with(IDENT) || ![ET_EXEC, ET_DYN].contains(&u16_at(file, 16)?) {
            return None;
        }
        let first = usize::try_from(u64::from_le_bytes(bytes(file, 32)?)).ok()?;
        let (size, count) = (usize::from(u16_at(file, 54)?), u16_at(file, 56)?);
        let mut has_loader = false;
        for segment in 0..usize::from(count) {
            let at = first.checked_add(segment * size)?;
            has_loader |= u32::from_le_bytes(bytes(file, at)?) == PT_INTERP;
        }
        Some(Self {
            machine: u16_at(file, 18)?,
            has_loader,
        })
    }
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    bytes(file, at).map(u16::from_le_bytes)
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    let end = at.checked_add(N)?;
    file.get(at..end)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these segments behind it.
    fn elf(kind: u16, machine: u16, segments: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(IDENT);
        file[16..18].copy_from_slice(&kind.to_le_bytes());
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_le_bytes());
        for kind in segments {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        file
    }

    fn refusal(file: &[u8]) -> String {
        let result = check(Path::new("p"), file, Architecture::Amd64);
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_static_program_of_the_architecture_is_taken() {
        for (architecture, machine) in [(Architecture::Amd64, 62), (Architecture::Arm64, 183)] {
            for kind in [ET_EXEC, ET_DYN] {
                let file = elf(kind, machine, &[1, 2, 6]);
                check(Path::new("p"), &file, architecture).unwrap();
            }
        }
    }

    #[test]
    fn all_else_is_refused() {
        let good = elf(ET_DYN, 62, &[1, 2]);
        for no_program in [
            &b"#!/bin/sh\n"[..],
            b"",
            &good[..40],
            &good[..good.len() - 53],
        ] {
            assert!(refusal(no_program).starts_with("p is no program for Linux"));
        }
        // An object file; 32 bits; a table of segments beyond all addresses.
        let mut far = good.clone();
        far[32..40].fill(0xff);
        let mut small = good;
        small[4] = 1;
        for no_program in [elf(1, 62, &[]), small, far] {
            assert!(refusal(&no_program).starts_with("p is no program for Linux"));
        }
        assert!(refusal(&elf(ET_DYN, 62, &[1, PT_INTERP])).contains("linked dynamically"));
        assert!(refusal(&elf(ET_EXEC, 183, &[])).contains("built for arm64, and the images are"));
        assert!(refusal(&elf(ET_EXEC, 243, &[])).contains("built for ELF machine 243"));
    }
}
