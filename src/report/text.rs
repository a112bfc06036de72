//! Small pieces of text: durations, numbers, ranges.
//!
//! Pure.

/// A duration for lines and tables: `3s`, `12m 45s`, `10m`, `1h 08m`.
pub fn duration(seconds: f64) -> String {
    let total = whole(seconds);
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes, seconds) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

/// A duration to the minute, or to the second below one: `18m`, `90m`, `40s`.
pub fn rough_duration(seconds: f64) -> String {
    match whole(seconds) {
        total if total < 60 => format!("{total}s"),
        total => format!("{}m", total / 60),
    }
}

/// A duration in words: `18 minutes`, `1 hour 8 minutes`, `40 seconds`.
pub fn duration_in_words(seconds: f64) -> String {
    let total = whole(seconds);
    match (total / 3600, total / 60 % 60) {
        (0, 0) => counted(total, "second", "seconds"),
        (0, minutes) => counted(minutes, "minute", "minutes"),
        (hours, 0) => counted(hours, "hour", "hours"),
        (hours, minutes) => format!(
            "{} {}",
            counted(hours, "hour", "hours"),
            counted(minutes, "minute", "minutes")
        ),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and negative durations count as none"
)]
fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}

/// `1 file`, `2 files`, `1,024 files`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with a comma at every third digit: `4,127`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A percentage without decimals: `80%`. It is rounded down, so that 100% means all.
pub fn percent(rate: f64) -> String {
    format!("{}%", rate.floor())
}

/// Numbers as people name them: `3`, `1-2` where contiguous, else `1, 3`.
pub fn range(numbers: &[u64]) -> String {
    match numbers {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] if contiguous(numbers) => format!("{first}-{last}"),
        _ => numbers
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// References to issues: a list up to five, above that a range where contiguous.
pub fn references(numbers: &[u64]) -> String {
    match numbers {
        [first, .., last] if numbers.len() > 5 && contiguous(numbers) => {
            format!("#{first}-#{last}")
        }
        _ => numbers
            .iter()
            .map(|number| format!("#{number}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn contiguous(numbers: &[u64]) -> bool {
    numbers
        .windows(2)
        .all(|pair| pair[0].checked_add(1) == Some(pair[1]))
}

/// `test timeout` as `Test Timeout`. Words in capitals stay.
pub fn title_case(text: &str) -> String {
    let words: Vec<_> = text.split(' ').map(capitalized).collect();
    words.join(" ")
}

/// The first letter in upper case.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_the_specification() {
        let cases = [
            (0.2, "0s"),
            (3.0, "3s"),
            (59.6, "1m"),
            (600.0, "10m"),
            (765.0, "12m 45s"),
            (1083.0, "18m 03s"),
            (3120.0, "52m"),
            (3600.0, "1h"),
            (4100.0, "1h 08m"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(rough_duration(1083.0), "18m");
        assert_eq!(rough_duration(5400.0), "90m");
        assert_eq!(duration_in_words(1083.0), "18 minutes");
        assert_eq!(duration_in_words(60.0), "1 minute");
        assert_eq!(duration_in_words(4100.0), "1 hour 8 minutes");
        assert_eq!(duration(f64::NAN), "0s");
        assert_eq!(duration(-1.0), "0s");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(grouped(872), "872");
        assert_eq!(grouped(4127), "4,127");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(counted(1, "line", "lines"), "1 line");
    }

    #[test]
    fn a_hundred_percent_means_all() {
        assert_eq!(percent(80.0), "80%");
        assert_eq!(percent(99.9), "99%");
    }

    #[test]
    fn ranges_are_named_where_contiguous() {
        assert_eq!(range(&[3]), "3");
        assert_eq!(range(&[1, 2]), "1-2");
        assert_eq!(range(&[1, 3]), "1, 3");
        assert_eq!(references(&[5, 6, 7]), "#5, #6, #7");
        assert_eq!(references(&[5, 6, 7, 8, 9, 10]), "#5-#10");
        assert_eq!(references(&[5, 6, 7, 8, 9, 11]), "#5, #6, #7, #8, #9, #11");
    }
}
