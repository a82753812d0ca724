//! The documents of the function, as they stand in `src/docs`.
//!
//! They link to each other by name; `links.md` says where a name leads here, and each file where it leads in the repository.

macro_rules! documents {
    ($($name:ident: $file:literal),+ $(,)?) => {
        $(
            #[doc = include_str!("docs/links.md")]
            #[doc = include_str!($file)]
            pub mod $name {}
        )+
    };
}

documents! {
    operating: "docs/operating.md",
    deploying: "docs/deploying.md",
    reference: "docs/reference.md",
    security: "docs/security.md",
    comparison: "docs/comparison.md",
    changelog: "docs/changelog.md",
}
