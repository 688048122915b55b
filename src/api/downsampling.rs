//! Downsampled data, as Thanos (0.42.5) reads them: how far back a query reaches where the data may be coarser than the raw ones.

use crate::go::time;

/// The downsampling of a kind of upstream.
#[derive(Debug, Clone, Copy)]
pub struct Downsampling {
    /// The resolutions of downsampled data in milliseconds, the finest first.
    pub levels_ms: [i64; 2],
    /// Without the parameter, a range query may read data as coarse as its step divided by this.
    pub parts_of_step: i64,
    /// The value of `max_source_resolution` that asks for raw data.
    pub raw: &'static str,
}

/// A value of `max_source_resolution`: how coarse the data may be that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceResolution {
    /// `auto`: a fifth of a range query's step; for an instant query, what a flag of Thanos's says.
    Auto,
    /// In milliseconds; 0 is raw data.
    AtMost(i64),
}

/// How far back a selector reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookback {
    /// How far back an instant selector looks, in milliseconds.
    pub selector_ms: i64,
    /// How much older the data may be that a sample stands for, in milliseconds.
    pub window_ms: i64,
}

impl SourceResolution {
    /// Reads a value; `None` where it can't be read, or is negative.
    pub fn read(text: &[u8]) -> Option<SourceResolution> {
        if text == b"auto" {
            return Some(SourceResolution::Auto);
        }
        let nanoseconds = time::duration(text).filter(|&nanoseconds| nanoseconds >= 0)?;
        Some(SourceResolution::AtMost(nanoseconds / 1_000_000))
    }
}

impl Downsampling {
    /// How coarse the data may be that a query reads, in milliseconds. `step_ms`: of a range query; `None` for an instant query.
    pub fn coarsest(&self, asked: Option<SourceResolution>, step_ms: Option<i64>) -> i64 {
        let [_, coarsest] = self.levels_ms;
        match (asked, step_ms) {
            (Some(SourceResolution::AtMost(milliseconds)), _) => milliseconds,
            // A flag of Thanos's says what `auto` means for an instant query. For a range query, it is a fifth of the step, but a
            // query frontend asks once more for coarser data where there are none (`downsampled` in pkg/queryfrontend, 0.42.5).
            (Some(SourceResolution::Auto), _) => coarsest,
            // Limits make an instant query say that it means raw data.
            (None, None) => 0,
            (None, Some(step)) => step.checked_div(self.parts_of_step).unwrap_or(step),
        }
    }

    /// How far back Thanos looks where data this coarse may be read: the lookback that its engine takes in place of the configured
    /// one (`LookbackDeltaFactory` in cmd/thanos/query.go; a request's own `lookback_delta` counts before it), and the time before a
    /// downsampled sample that the sample stands for (`currentWindow` in pkg/compact/downsample/downsample.go).
    pub fn lookback(&self, lookback_ms: i64, coarsest_ms: i64) -> Lookback {
        let [fine, coarse] = self.levels_ms;
        let selector_ms = if coarsest_ms > lookback_ms.max(fine) {
            lookback_ms.max(coarse)
        } else if coarsest_ms > lookback_ms {
            lookback_ms.max(fine)
        } else {
            lookback_ms
        };
        let window_ms = self.levels_ms.iter().rev().find(|&&level| level <= coarsest_ms).map_or(0, |level| level - 1);
        Lookback { selector_ms, window_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Upstream;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_coarse_source_resolution_looks_further_back() {
        assert_eq!(SourceResolution::read(b"auto"), Some(SourceResolution::Auto));
        for (text, milliseconds) in [("0s", 0), ("5m", 300_000), ("3600", 3_600_000), ("0.0001", 0), ("1h", 3_600_000)]
        {
            let expected = Some(SourceResolution::AtMost(milliseconds));
            assert_eq!(SourceResolution::read(text.as_bytes()), expected, "{text}");
        }
        for text in ["", "raw", "-5", "Auto", "NaN"] {
            assert_eq!(SourceResolution::read(text.as_bytes()), None, "{text}");
        }
        // Minutes. The lookbacks agree with `TestLookbackDeltaFactory` in cmd/thanos/query_test.go, 0.42.5.
        const MINUTE: i64 = 60_000;
        let downsampling = Upstream::Thanos.profile().downsampling.expect("Thanos downsamples");
        for (lookback, coarsest, expected) in [
            (3, 0, (3, 0)),
            (3, 3, (3, 0)),
            (3, 5, (5, 5)),
            (3, 6, (60, 5)),
            (3, 60, (60, 60)),
            (5, 5, (5, 5)),
            (5, 6, (60, 5)),
            (30, 5, (30, 5)),
            (30, 30, (30, 5)),
            (30, 31, (60, 5)),
            (60, 60, (60, 60)),
            (61, 1440, (61, 60)),
        ] {
            let Lookback { selector_ms, window_ms } = downsampling.lookback(lookback * MINUTE, coarsest * MINUTE);
            let found = (selector_ms / MINUTE, (window_ms + 1) / MINUTE);
            assert_eq!(found, expected, "{lookback} min, {coarsest} min");
        }
    }
}
