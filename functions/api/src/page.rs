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
    /// `per_page`, 1 to [`MAX_SIZE`], default [`DEFAULT_SIZE`].
    pub size: usize,
}

/// Maximum number of entries that a request can ask for, on every route that lists.
pub(crate) const MAX_SIZE: usize = 100;

/// Number of entries if the request does not say.
pub(crate) const DEFAULT_SIZE: usize = 20;

/// Parses the number of entries that a request asks for.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    whole_number(text, 1..=MAX_SIZE, &format!("a whole number from 1 to {MAX_SIZE}"))
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
        let number = |text: &str| whole_number(text, 1..=usize::MAX, "a whole number, at least 1");
        let number = parameter(parameters, "page", &mut wrong, number).unwrap_or(1);
        let size = parameter(parameters, "per_page", &mut wrong, size).unwrap_or(DEFAULT_SIZE);
        if wrong.is_empty() { Ok(Self { number, size }) } else { Err(wrong) }
    }
}

/// Parses the value of a query parameter: digits only, although `parse` accepts a leading `+`.
fn whole_number(
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
