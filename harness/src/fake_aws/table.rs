//! Rows that requests read: `Deliveries` with its index, and `Replays`. Both have the partition key `webhook`.
//!
//! The rule: a `Query` looks at rows, ends and is charged as in DynamoDB.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use serde_json::{Map, Value, json};

use super::size;

/// A `Query` ends when it has read this many bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Attributes that the index of what is not delivered lacks.
const NOT_INDEXED: [&str; 5] = ["body", "attempts", "occurred_at", "ttl", "claim"];

#[derive(Debug, Default)]
pub(super) struct Table {
    /// By partition key and sort key. Each row is JSON text, which needs less memory than a parsed row.
    rows: HashMap<String, BTreeMap<String, String>>,
    /// `undelivered-index`: the sort keys of its rows, by partition key.
    index: HashMap<String, BTreeSet<String>>,
}

/// The result of a `Query`.
#[derive(Debug)]
pub(super) struct Found {
    pub answer: Value,
    /// Charged read units.
    pub units: u64,
    /// Rows that it looked at.
    pub rows: u64,
}

impl Table {
    pub(super) fn get(&self, key: &Value) -> Option<Value> {
        let (partition, sort) = key_of(key);
        self.row(partition, sort)
    }

    pub(super) fn put(&mut self, row: &Value) {
        let (partition, sort) = key_of(row);
        let index = self.index.entry(partition.to_owned()).or_default();
        if row["undelivered"].is_object() {
            index.insert(sort.to_owned());
        } else {
            index.remove(sort);
        }
        let rows = self.rows.entry(partition.to_owned()).or_default();
        rows.insert(sort.to_owned(), row.to_string());
    }

    pub(super) fn remove(&mut self, key: &Value) {
        let (partition, sort) = key_of(key);
        self.rows.get_mut(partition).map(|rows| rows.remove(sort));
        self.index.get_mut(partition).map(|index| index.remove(sort));
    }

    /// Answers a `Query` on the table or on the index, whose condition is a partition and optionally a range.
    pub(super) fn query(&self, input: &Value) -> Found {
        let values = &input["ExpressionAttributeValues"];
        let partition = values[":webhook"]["S"].as_str().unwrap_or_default();
        let is_indexed = input["IndexName"].is_string();
        let limit = input["Limit"].as_u64().unwrap_or(u64::MAX);
        let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
        for sort in self.sort_keys(partition, input) {
            let Some(row) = self.row(partition, sort) else { continue };
            bytes += if is_indexed { index_bytes(&row) } else { size::of_item(&row) };
            let (partition_key, sort_key) = (&row["webhook"], json!({"S": sort}));
            let mut key = json!({"webhook": partition_key, sort_name(&row): sort_key});
            if is_indexed {
                key["undelivered"] = row["undelivered"].clone();
            }
            items.push(selected(&row, input));
            if items.len() as u64 == limit || bytes >= MAX_BYTES {
                last = Some(key);
                break;
            }
        }
        let rows = items.len() as u64;
        let mut answer = json!({"Items": items, "Count": rows, "ScannedCount": rows});
        if let Some(last) = last {
            answer["LastEvaluatedKey"] = last;
        }
        let is_consistent = input["ConsistentRead"] == true;
        Found { answer, units: size::query_units(bytes, is_consistent), rows }
    }

    /// The sort keys in the request's range and order.
    fn sort_keys<'a>(
        &'a self,
        partition: &str,
        input: &'a Value,
    ) -> Box<dyn Iterator<Item = &'a String> + 'a> {
        let is_ascending = input["ScanIndexForward"] != false;
        let text = |value: &'a Value| value["S"].as_str();
        let bound = |name| text(&input["ExpressionAttributeValues"][name]).map(Bound::Included);
        let mut lowest = bound(":lowest").unwrap_or(Bound::Unbounded);
        let mut highest = bound(":highest").unwrap_or(Bound::Unbounded);
        let start = &input["ExclusiveStartKey"];
        if let Some(start) = text(&start[sort_name(start)]).map(Bound::Excluded) {
            *(if is_ascending { &mut lowest } else { &mut highest }) = start;
        }
        let range = (lowest, highest);
        let keys: Box<dyn DoubleEndedIterator<Item = &String>> = if input["IndexName"].is_string() {
            let index = self.index.get(partition);
            Box::new(index.into_iter().flat_map(move |keys| keys.range::<str, _>(range)))
        } else {
            let rows = self.rows.get(partition).into_iter();
            Box::new(rows.flat_map(move |rows| rows.range::<str, _>(range).map(|(sort, _)| sort)))
        };
        if is_ascending { keys } else { Box::new(keys.rev()) }
    }

    fn row(&self, partition: &str, sort: &str) -> Option<Value> {
        let text = self.rows.get(partition)?.get(sort)?;
        Some(serde_json::from_str(text).expect("a row is JSON"))
    }
}

/// Bytes of the row in the index of what is not delivered; 0 if it is not in the index.
pub(super) fn index_bytes(row: &Value) -> usize {
    if row["undelivered"].is_object() { size::of_item(&indexed(row)) } else { 0 }
}

fn indexed(row: &Value) -> Value {
    part(row, |name| !NOT_INDEXED.contains(&name))
}

/// The attributes that the request asks for.
fn selected(row: &Value, input: &Value) -> Value {
    if input["IndexName"].is_string() {
        return indexed(row);
    }
    let Some(projection) = input["ProjectionExpression"].as_str() else { return row.clone() };
    let names = &input["ExpressionAttributeNames"];
    let names: Vec<&str> =
        projection.split(", ").map(|name| names[name].as_str().unwrap_or(name)).collect();
    part(row, |name| names.contains(&name))
}

/// The attributes whose name is wanted.
fn part(row: &Value, is_wanted: impl Fn(&str) -> bool) -> Value {
    let attributes = row.as_object().into_iter().flatten();
    let wanted = attributes.filter(|(name, _)| is_wanted(name));
    wanted.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// The partition key and the sort key.
fn key_of(row: &Value) -> (&str, &str) {
    let text = |name| row[name]["S"].as_str().unwrap_or_default();
    (text("webhook"), text(sort_name(row)))
}

/// A delivery has the id of its replay as well.
fn sort_name(row: &Value) -> &'static str {
    if row["delivery_id"].is_object() { "delivery_id" } else { "replay_id" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rows, of which those with odd numbers are not delivered.
    fn table() -> Table {
        let mut table = Table::default();
        for number in 1..=5 {
            let mut row = json!({
                "webhook": {"S": "w"},
                "delivery_id": {"S": format!("d{number}")},
                "body": {"S": "x".repeat(4096)},
            });
            if number % 2 == 1 {
                row["undelivered"] = json!({"S": "w"});
            }
            table.put(&row);
        }
        table
    }

    fn query(more: &Value) -> Value {
        let mut input = json!({"ExpressionAttributeValues": {":webhook": {"S": "w"}}});
        let into = input.as_object_mut().expect("it is an object");
        into.extend(more.as_object().expect("it is an object").clone());
        input
    }

    fn ids(found: &Found) -> Vec<&str> {
        let items = found.answer["Items"].as_array().into_iter().flatten();
        items.filter_map(|item| item["delivery_id"]["S"].as_str()).collect()
    }

    #[test]
    fn a_query_continues_after_its_last_key_in_either_order() {
        for (ascending, first, rest) in
            [(true, ["d1", "d2"], ["d3", "d4", "d5"]), (false, ["d5", "d4"], ["d3", "d2", "d1"])]
        {
            let found = table().query(&query(&json!({"Limit": 2, "ScanIndexForward": ascending})));
            assert_eq!(ids(&found), first);
            let last = &found.answer["LastEvaluatedKey"];
            let more = json!({"ExclusiveStartKey": last, "ScanIndexForward": ascending});
            let found = table().query(&query(&more));
            assert_eq!(ids(&found), rest);
            assert_eq!(found.answer["LastEvaluatedKey"], json!(null));
        }
    }

    #[test]
    fn a_query_is_charged_for_what_it_looks_at_and_half_if_it_may_be_stale() {
        let consistent = table().query(&query(&json!({"ConsistentRead": true})));
        assert_eq!((consistent.rows, consistent.units), (5, 6), "5 rows of more than 4 KB");
        let narrow = table().query(&query(&json!({"ProjectionExpression": "delivery_id"})));
        assert_eq!((narrow.rows, narrow.units), (5, 3));
        assert_eq!(narrow.answer["Items"][0], json!({"delivery_id": {"S": "d1"}}));
    }

    #[test]
    fn the_index_has_only_what_is_not_delivered_without_its_body() {
        let mut table = table();
        let of_index = query(&json!({"IndexName": "undelivered-index", "ConsistentRead": true}));
        let found = table.query(&of_index);
        assert_eq!((ids(&found), found.units), (vec!["d1", "d3", "d5"], 1));
        assert_eq!(found.answer["Items"][0]["body"], json!(null));
        table.put(&json!({"webhook": {"S": "w"}, "delivery_id": {"S": "d1"}}));
        assert_eq!(ids(&table.query(&of_index)), ["d3", "d5"]);
    }

    #[test]
    fn a_range_includes_both_of_its_ends() {
        let mut input = query(&json!({}));
        input["ExpressionAttributeValues"][":lowest"] = json!({"S": "d2"});
        input["ExpressionAttributeValues"][":highest"] = json!({"S": "d4"});
        assert_eq!(ids(&table().query(&input)), ["d2", "d3", "d4"]);
    }

    #[test]
    fn a_query_ends_after_a_mebibyte() {
        let mut table = Table::default();
        for number in 0..300 {
            let id = format!("d{number:03}");
            let body = "x".repeat(8192);
            table.put(
                &json!({"webhook": {"S": "w"}, "delivery_id": {"S": id}, "body": {"S": body}}),
            );
        }
        let found = table.query(&query(&json!({})));
        assert_eq!(found.rows, 128);
        assert_eq!(found.answer["LastEvaluatedKey"]["delivery_id"]["S"], "d127");
    }
}
