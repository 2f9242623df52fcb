//! How long things take, in fixed buckets.

use std::time::Duration;

use super::series::{Count, PerCore};

/// The buckets' upper bounds in microseconds: 100 µs to a minute, 1 – 2.5 – 5 a decade. They never
/// change: rules and dashboards name them.
pub(crate) const BOUNDS: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// The bounds as `le` writes them, in seconds.
pub(crate) const LE: [&str; BOUNDS.len() + 1] = [
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
    "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "+Inf",
];

/// Durations, counted by bucket.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Histogram {
    // Beside the first buckets, which most requests count in: one line of memory less.
    micros: Count,
    buckets: [Count; BOUNDS.len() + 1],
}

impl Histogram {
    /// Counts one.
    pub fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| bound * 1_000 < nanos);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.micros.add(nanos / 1_000);
    }
}

/// A histogram's state, all cores together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counted {
    /// For each bound, how many took no longer; last, how many there were.
    pub up_to: [u64; LE.len()],
    /// All durations together, in seconds.
    pub seconds: f64,
}

impl Counted {
    /// What is in the histograms that `pick` gives for each core.
    pub fn of<C: Default>(cores: &PerCore<C>, pick: impl Fn(&C) -> &Histogram) -> Self {
        let mut up_to = [0; LE.len()];
        let mut micros = 0_u64;
        for histogram in cores.all().map(&pick) {
            for (sum, bucket) in up_to.iter_mut().zip(&histogram.buckets) {
                *sum += bucket.get();
            }
            micros = micros.wrapping_add(histogram.micros.get());
        }
        let mut total = 0;
        for sum in &mut up_to {
            total += *sum;
            *sum = total;
        }
        Self { up_to, seconds: micros as f64 / 1e6 }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.up_to.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_in_seconds() {
        for (bound, le) in BOUNDS.iter().zip(LE) {
            assert_eq!(*bound as f64 / 1e6, le.parse::<f64>().unwrap());
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let cores: PerCore<Histogram> = PerCore::new(2);
        let table = [
            (Duration::ZERO, 0),
            (Duration::from_nanos(100_000), 0),
            (Duration::from_nanos(100_001), 1),
            (Duration::from_millis(1), 3),
            (Duration::from_secs(60), 17),
            (Duration::from_secs(61), 18),
        ];
        for (core, (took, _)) in table.iter().enumerate() {
            cores.of(core % 2).unwrap().add(*took);
        }
        let counted = Counted::of(&cores, |histogram| histogram);
        for (bucket, (le, count)) in LE.iter().zip(counted.up_to).enumerate() {
            let expected = table.iter().filter(|(_, at)| *at <= bucket).count() as u64;
            assert_eq!(count, expected, "le {le}");
        }
        assert_eq!(counted.count(), 6);
        assert_eq!(counted.seconds, 121.001_2);
    }
}
