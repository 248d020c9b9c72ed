//! How a packed word is defined: fields of bits, packed least significant first, and the macros that declare entries and codes.
//!
//! [`crate::table`] declares the words themselves with them.

/// 32-bit words that hold any entry (384 bits, the payload of one ring record).
pub const ENTRY_WORDS: usize = 12;
/// An entry in its packed form.
pub type Words = [u32; ENTRY_WORDS];

/// One field of a table word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldDesc {
    /// Name, the same in Rust, SystemVerilog and the reference.
    pub name: &'static str,
    /// Lowest bit within the entry.
    pub lsb: u32,
    /// Width in bits.
    pub width: u32,
    /// What it means.
    pub doc: &'static str,
    /// Minor version that added it; 0 = as old as the major version.
    pub since: u16,
}

/// A value was too wide for its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldOverflow {
    /// The entry's type.
    pub entry: &'static str,
    /// The field.
    pub field: &'static str,
    /// The value offered.
    pub value: u64,
    /// The field's width in bits.
    pub width: u32,
}

impl core::fmt::Display for FieldOverflow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}.{} = {:#x} does not fit in {} bits",
            self.entry, self.field, self.value, self.width
        )
    }
}

impl core::error::Error for FieldOverflow {}

/// A type that can stand in a field.
pub trait FieldValue: Copy {
    /// The value as an unsigned integer.
    fn to_bits(self) -> u64;
    /// The value from the integer's low bits.
    fn from_bits(bits: u64) -> Self;
}

macro_rules! field_value_int {
    ($($t:ty),*) => {$(
        impl FieldValue for $t {
            fn to_bits(self) -> u64 { u64::from(self) }
            #[allow(clippy::cast_possible_truncation)]
            fn from_bits(bits: u64) -> Self { bits as Self }
        }
    )*};
}
field_value_int!(u8, u16, u32, u64);

impl FieldValue for bool {
    fn to_bits(self) -> u64 {
        u64::from(self)
    }
    fn from_bits(bits: u64) -> Self {
        bits & 1 != 0
    }
}

/// Writes the low `width` bits of `value` at bit `lsb`.
pub fn put_bits(words: &mut [u32], lsb: u32, width: u32, value: u64) {
    for i in 0..width {
        let (word, bit) = (((lsb + i) / 32) as usize, (lsb + i) % 32);
        words[word] = (words[word] & !(1 << bit)) | ((((value >> i) & 1) as u32) << bit);
    }
}

/// Reads `width` (at most 64) bits at bit `lsb`.
#[must_use]
pub fn get_bits(words: &[u32], lsb: u32, width: u32) -> u64 {
    let mut value = 0;
    let mut done = 0;
    while done < width {
        let bit = lsb + done;
        let take = (32 - bit % 32).min(width - done);
        let chunk = (u64::from(words[(bit / 32) as usize]) >> (bit % 32)) & ((1 << take) - 1);
        value |= chunk << done;
        done += take;
    }
    value
}

/// An entry of a table, or another packed word defined here.
pub trait TableEntry: Sized {
    /// Name in UpperCamelCase.
    const NAME: &'static str;
    /// One line of documentation.
    const DOC: &'static str;
    /// Fields in order, least significant first.
    const FIELDS: &'static [FieldDesc];
    /// Bits used.
    const BITS: u32;
    /// Packs; bits of a value beyond its field are lost (see [`TableEntry::check`]).
    fn pack(&self) -> Words;
    /// Unpacks; never fails, as every bit pattern is an entry.
    fn unpack(words: &Words) -> Self;
    /// Whether every value fits its field.
    ///
    /// # Errors
    /// The first field that overflows; the caller offered it.
    fn check(&self) -> Result<(), FieldOverflow>;
    /// Whether it is all zeros: what a table holds where nothing was written, and what a write of clears.
    fn is_clear(&self) -> bool;
}

macro_rules! table_entry {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty = $width:literal $(since $since:literal)? ),* $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name { $( $(#[doc = $fdoc])+ pub $field: $ty ),* }

        impl TableEntry for $name {
            const NAME: &'static str = stringify!($name);
            const DOC: &'static str = concat!($($doc),+);
            const BITS: u32 = 0 $(+ $width)*;
            const FIELDS: &'static [FieldDesc] = {
                const COUNT: usize = [$($width),*].len();
                const FIELDS: [FieldDesc; COUNT] = {
                    let mut fields = [$(FieldDesc { name: stringify!($field), lsb: 0, width: $width, doc: concat!($($fdoc),+), since: 0 $(+ $since)? }),*];
                    let (mut i, mut lsb) = (0, 0);
                    while i < COUNT {
                        fields[i].lsb = lsb;
                        lsb += fields[i].width;
                        i += 1;
                    }
                    assert!(lsb as usize <= ENTRY_WORDS * 32, "entry wider than a ring record's payload");
                    fields
                };
                &FIELDS
            };
            fn pack(&self) -> Words {
                let mut words = [0; ENTRY_WORDS];
                let mut lsb = 0;
                $( put_bits(&mut words, lsb, $width, self.$field.to_bits()); lsb += $width; )*
                let _ = lsb;
                words
            }
            fn unpack(words: &Words) -> Self {
                let mut lsb = 0;
                $( let $field = <$ty>::from_bits(get_bits(words, lsb, $width)); lsb += $width; )*
                let _ = lsb;
                Self { $($field),* }
            }
            fn check(&self) -> Result<(), FieldOverflow> {
                $( if $width < 64 && self.$field.to_bits() >> ($width % 64) != 0 {
                    return Err(FieldOverflow { entry: Self::NAME, field: stringify!($field), value: self.$field.to_bits(), width: $width });
                } )*
                Ok(())
            }
            fn is_clear(&self) -> bool {
                true $( && self.$field.to_bits() == 0 )*
            }
        }
    };
}

macro_rules! coded_enum {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $code:literal $(since $since:literal)? ),* $(,)? } else $default:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[doc = $vdoc])+ $variant ),*
            ,
            /// A code this layout does not define, as it was read; the card treats it as the first variant.
            Undefined(u8),
        }
        impl $name {
            /// Every defined variant with its code and meaning.
            pub const ALL: &'static [(Self, &'static str, u8, &'static str)] =
                &[$((Self::$variant, stringify!($variant), $code, concat!($($vdoc),+))),*];
            /// Minor version that added it; 0 = as old as the major version.
            #[must_use]
            pub const fn since(self) -> u16 {
                match self { $(Self::$variant => 0 $(+ $since)?,)* Self::Undefined(_) => 0 }
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }
        impl FieldValue for $name {
            fn to_bits(self) -> u64 {
                match self { $(Self::$variant => $code,)* Self::Undefined(code) => u64::from(code) }
            }
            fn from_bits(bits: u64) -> Self {
                match bits {
                    $($code => Self::$variant,)*
                    // Fields of codes are narrower than a byte.
                    other => Self::Undefined(other as u8),
                }
            }
        }
    };
}

/// Codes of the rings and queues, and numbers of bits: a byte each, of which others occur too.
macro_rules! codes {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $code:literal $(, since $since:literal)?; )* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant = $code ),* }
        impl $name {
            /// Every variant with its name, the minor version that added it (0 = as old as the major version), and its meaning.
            pub const ALL: &'static [(Self, &'static str, u16, &'static str)] =
                &[$((Self::$variant, stringify!($variant), 0 $(+ $since)?, concat!($($vdoc),+))),*];
            /// The variant with this code.
            #[must_use]
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

pub(crate) use {coded_enum, codes, table_entry};
