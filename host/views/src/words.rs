//! Words that are values: each stands once, for JSON, for people, and for programs that ask which one it is.

/// Declares an enum whose variants are words, in JSON as in text.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)+ }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}
pub(crate) use words;

/// The words one after another.
pub(crate) fn concat<T: ToString>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect()
}
