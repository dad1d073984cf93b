//! Words for people: clipping, plurals, durations, and the [`Scrubber`] that keeps secrets out of them.
