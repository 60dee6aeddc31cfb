//! What vendors' administration APIs answer.
//!
//! OpenAI: <https://platform.openai.com/docs/api-reference/usage>. Anthropic:
//! <https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-cost-report>, where amounts are cents.

use domain::money::Cost;
use serde_json::Value;

use super::InvoiceLine;
use super::export::{UnreadableInvoice, day, dollars};

/// Reads a page of buckets, or an array of pages.
pub(super) fn read(text: &str) -> Result<Vec<InvoiceLine>, UnreadableInvoice> {
    let value: Value = serde_json::from_str(text).map_err(|_| UnreadableInvoice::Unknown)?;
    let pages = match value {
        Value::Array(pages) => pages,
        page => vec![page],
    };
    let mut lines = Vec::new();
    for page in &pages {
        let buckets = page["data"].as_array().ok_or(UnreadableInvoice::Unknown)?;
        for bucket in buckets {
            read_bucket(bucket, &mut lines)?;
        }
    }
    Ok(lines)
}

fn read_bucket(bucket: &Value, lines: &mut Vec<InvoiceLine>) -> Result<(), UnreadableInvoice> {
    let start = match (&bucket["start_time"], &bucket["starting_at"]) {
        (Value::Number(seconds), _) => seconds.to_string(),
        (_, Value::String(time)) => time.clone(),
        _ => return Err(UnreadableInvoice::Unknown),
    };
    let number = lines.len() + 1;
    let day = day(&start).ok_or(UnreadableInvoice::Value {
        line: number,
        what: "day",
        value: start,
    })?;
    let results = bucket["results"]
        .as_array()
        .ok_or(UnreadableInvoice::Unknown)?;
    for result in results {
        let number = lines.len() + 1;
        let (input_tokens, output_tokens) = tokens(result);
        lines.push(InvoiceLine {
            day,
            model: model(result),
            input_tokens,
            output_tokens,
            cost: cost(result, number)?,
        });
    }
    Ok(())
}

/// OpenAI's line items of costs are `gpt-4o-mini-2024-07-18, input`.
fn model(result: &Value) -> String {
    let text = |field: &str| result[field].as_str();
    let named = text("model").or_else(|| text("line_item")?.split(',').next());
    named.unwrap_or_default().to_owned()
}

/// Cached and written input is part of the input here; Anthropic names the parts.
fn tokens(result: &Value) -> (Option<u64>, Option<u64>) {
    let count = |value: &Value| value.as_u64();
    let written = &result["cache_creation"];
    let parts = [
        count(&result["uncached_input_tokens"]),
        count(&result["cache_read_input_tokens"]),
        count(&written["ephemeral_5m_input_tokens"]),
        count(&written["ephemeral_1h_input_tokens"]),
    ];
    let parts_together = parts.into_iter().flatten().reduce(u64::saturating_add);
    let input = count(&result["input_tokens"]).or(parts_together);
    (input, count(&result["output_tokens"]))
}

fn cost(result: &Value, line: usize) -> Result<Option<Cost>, UnreadableInvoice> {
    let amount = &result["amount"];
    let (value, currency, units) = match amount {
        Value::Object(_) => (&amount["value"], &amount["currency"], 1),
        Value::String(_) => (amount, &result["currency"], 100),
        _ => return Ok(None),
    };
    let currency = currency.as_str().unwrap_or("usd");
    if !currency.eq_ignore_ascii_case("usd") {
        return Err(UnreadableInvoice::Currency {
            line,
            currency: currency.to_owned(),
        });
    }
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let dollars = dollars(&text).ok_or(UnreadableInvoice::Value {
        line,
        what: "amount",
        value: text,
    })?;
    Ok(Some(Cost::from_pico_dollars(
        i128::from(dollars.nano_dollars()) * 1_000 / units,
    )))
}
