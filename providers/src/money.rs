//! Money without floating point.

use std::fmt;

/// An amount in billionths of a currency unit, since providers bill in fractions of a cent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Money {
    nanos: i64,
    currency: String,
}

impl Money {
    /// Reads a decimal number such as `0.0106` or `-0.03000` and an ISO 4217 code. Digits beyond the ninth decimal
    /// are cut off. `None` for anything else, and for amounts beyond nine billion units.
    pub fn parse(amount: &str, currency: &str) -> Option<Self> {
        let currency = currency.trim().to_ascii_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        let amount = amount.trim();
        let (sign, digits) = match amount.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, amount.strip_prefix('+').unwrap_or(amount)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let nanos = whole
            .parse::<i64>()
            .ok()?
            .checked_mul(1_000_000_000)?
            .checked_add(fraction.parse::<i64>().ok()?)?;
        Some(Self { nanos: sign * nanos, currency })
    }

    /// The amount in billionths of a unit; `None` if the currency is no ISO 4217 code.
    pub fn from_nanos(nanos: i64, currency: &str) -> Option<Self> {
        Self::parse("0", currency).map(|zero| Self { nanos, ..zero })
    }

    /// The amount in billionths of a unit.
    pub fn nanos(&self) -> i64 {
        self.nanos
    }

    /// The ISO 4217 code, upper case.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The amount as a decimal number, without trailing zeros beyond the second decimal.
    pub fn amount(&self) -> String {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        let (whole, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let mut fraction = format!("{fraction:09}");
        while fraction.len() > 2 && fraction.ends_with('0') {
            fraction.pop();
        }
        format!("{sign}{whole}.{fraction}")
    }

    /// The same amount without its sign: Twilio writes prices as negative numbers.
    pub fn abs(self) -> Self {
        Self { nanos: self.nanos.saturating_abs(), ..self }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut money = serializer.serialize_struct("Money", 2)?;
        money.serialize_field("amount", &self.amount())?;
        money.serialize_field("currency", &self.currency)?;
        money.end()
    }
}
