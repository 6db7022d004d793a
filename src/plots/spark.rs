//! Drawings for terminals: one line a curve.

use crate::plots::series::Coordinate;

/// From low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The numbers as bars, at most `width`: where there are more, each bar is the mean of its part. What is
/// no number is a space.
pub fn spark(values: &[Coordinate], width: usize) -> String {
    let number = |value: &Coordinate| match value {
        Coordinate::Number(number) => Some(*number),
        _ => None,
    };
    let parts = values.len().min(width);
    let mean = |part: usize| {
        let (from, to) = (part * values.len() / parts, (part + 1) * values.len() / parts);
        let numbers: Vec<f64> = values[from..to].iter().filter_map(number).collect();
        let sum: f64 = numbers.iter().map(|number| number / numbers.len() as f64).sum();
        (!numbers.is_empty()).then_some(sum)
    };
    let means: Vec<Option<f64>> = (0..parts).map(mean).collect();
    let known = || means.iter().flatten().copied();
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let bar = |mean: &Option<f64>| {
        let Some(mean) = mean else { return ' ' };
        // Halved, because the difference of two huge numbers is none.
        let part = (mean / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        if part.is_nan() { BARS[3] } else { BARS[(part * 7.0).round().clamp(0.0, 7.0) as usize] }
    };
    means.iter().map(bar).collect()
}

/// The first, the last, the least and the greatest number; nothing if there is none.
pub fn summary(values: &[Coordinate]) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = values
        .iter()
        .filter_map(|value| match value {
            Coordinate::Number(number) => Some(*number),
            _ => None,
        })
        .collect();
    let (first, last) = (*numbers.first()?, *numbers.last()?);
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some([first, last, least, greatest])
}
