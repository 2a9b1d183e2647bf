//! Pagination of lists by the query parameters `page` and `per_page`.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::{ApiError, Details};
use crate::extract::{parameter, parameters, refuse_unknown};

/// The only two query parameters of a list route; any other one is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// `page`, from 1, default 1; a page beyond the last is empty.
    pub number: usize,
    /// `per_page`, 1 to 100, default 20.
    pub size: usize,
}

impl Page {
    /// The entries of `list` on this page.
    pub(crate) fn of<T>(self, list: &[T]) -> impl Iterator<Item = &T> {
        let skipped = self.size.saturating_mul(self.number - 1);
        list.iter().skip(skipped).take(self.size)
    }

    fn read(parameters: &[(String, String)]) -> Result<Self, Details> {
        let mut wrong = Details::new();
        refuse_unknown(parameters, &["page", "per_page"], &mut wrong);
        let mut read = |name, allowed, expected, default| {
            let parse = |text: &str| whole_number(text, allowed, expected);
            parameter(parameters, name, &mut wrong, parse).unwrap_or(default)
        };
        let number = read("page", 1..=usize::MAX, "a whole number, at least 1", 1);
        let size = read("per_page", 1..=100, "a whole number from 1 to 100", 20);
        if wrong.is_empty() { Ok(Self { number, size }) } else { Err(wrong) }
    }
}

/// Parses the value of a query parameter: digits only, although `parse` accepts a leading `+`.
pub(crate) fn whole_number(
    text: &str,
    allowed: RangeInclusive<usize>,
    expected: &str,
) -> Result<usize, String> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_digits && allowed.contains(number));
    number.ok_or_else(|| format!("must be {expected}"))
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&parameters(parts)?).map_err(ApiError::InvalidParameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Query;

    fn read(query: &str) -> Result<(usize, usize), Vec<(String, String)>> {
        let parameters: Query<Vec<(String, String)>> =
            Query::try_from_uri(&format!("/?{query}").parse().unwrap()).unwrap();
        Page::read(&parameters)
            .map(|page| (page.number, page.size))
            .map_err(|wrong| wrong.into_iter().collect())
    }

    #[test]
    fn the_default_is_the_first_page_of_twenty() {
        assert_eq!(read(""), Ok((1, 20)));
        assert_eq!(read("page=3"), Ok((3, 20)));
        assert_eq!(read("per_page=100"), Ok((1, 100)));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let page = "must be a whole number, at least 1";
        let per_page = "must be a whole number from 1 to 100";
        let unknown = "is not a known parameter";
        for (query, wrong) in [
            ("page=0", vec![("page", page)]),
            ("page=", vec![("page", page)]),
            ("page=-1", vec![("page", page)]),
            ("page=1.5", vec![("page", page)]),
            ("page=%2B5&per_page=+5", vec![("page", page), ("per_page", per_page)]),
            ("page=99999999999999999999999", vec![("page", page)]),
            ("page=1&page=2", vec![("page", "is given more than once")]),
            ("per_page=101", vec![("per_page", per_page)]),
            ("page=x&per_page=0", vec![("page", page), ("per_page", per_page)]),
            ("sort=url&sort=x&page=1", vec![("sort", unknown)]),
            ("Page=1&=&page=0", vec![("", unknown), ("Page", unknown), ("page", page)]),
        ] {
            let wrong =
                wrong.into_iter().map(|(name, reason)| (name.to_owned(), reason.to_owned()));
            assert_eq!(read(query), Err(wrong.collect()), "{query}");
        }
    }

    #[test]
    fn a_page_has_its_slice_of_the_list() {
        let slice =
            |number, size| Page { number, size }.of(&[1, 2, 3, 4, 5]).copied().collect::<Vec<_>>();
        assert_eq!(slice(1, 2), [1, 2]);
        assert_eq!(slice(3, 2), [5]);
        assert_eq!(slice(4, 2), [0; 0]);
        assert_eq!(slice(usize::MAX, 100), [0; 0]);
    }
}
