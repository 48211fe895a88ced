//! Parts of the configuration that can be read alone.

use super::reader::Reader;

/// A part of the configuration that can be read alone, or a tuple of such parts.
pub trait Section: Sized {
    /// Reads it; `None` if the reader has noted a mistake.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

impl<A: Section, B: Section> Section for (A, B) {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (a, b) = (A::read(reader), B::read(reader));
        Some((a?, b?))
    }
}

impl<A: Section, B: Section, C: Section> Section for (A, B, C) {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (a, b, c) = (A::read(reader), B::read(reader), C::read(reader));
        Some((a?, b?, c?))
    }
}
