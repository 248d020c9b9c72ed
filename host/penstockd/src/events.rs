//! What a card tells by itself, for those who follow it by the API: lines of JSON, as they come.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use jiff::Timestamp;
use penstock_agent::{Follower, News, Told};
use penstock_api::paths::EventQuery;
use penstock_device::{CardEvent, Kinds, Wanted};
use penstock_views::CardState;
use penstock_views::event::{Event, Kind, Teller, Times};
use penstock_views::flow_filter::FlowFilter;
use tokio::time::timeout;

use crate::answer::{Card, Refusal};

/// Whoever follows hears something once in so long, be it an empty line: so either end notices that the other is gone.
const BEAT: Duration = Duration::from_secs(10);
/// Of so many connections one is told at least.
const SAMPLE_MAX: u32 = 1 << 15;

/// Which events a query asks the card for, and which of those it is told.
fn understand(query: &EventQuery) -> Result<(Wanted, Option<FlowFilter>), Refusal> {
    let misread = |error: &dyn ToString| Refusal::Misread(error.to_string());
    let kinds = match &query.events {
        None => Kind::ALL.to_vec(),
        Some(words) => {
            let kinds = words.split(',').map(|word| word.trim().parse());
            kinds.collect::<Result<_, _>>().map_err(|error| misread(&error))?
        }
    };
    let sample = query.sample.unwrap_or(1);
    if !sample.is_power_of_two() || sample > SAMPLE_MAX {
        let why = format!(
            "one in {sample} cannot be told; one in a power of two can, up to {SAMPLE_MAX}"
        );
        return Err(Refusal::Misread(why));
    }
    let filter = query.filter.as_deref().map(str::parse).transpose();
    let kinds: Vec<_> = kinds.into_iter().map(Kind::of_card).collect();
    let wanted = Wanted { kinds: Kinds::of(&kinds), sample_log2: sample.ilog2() as u8 };
    Ok((wanted, filter.map_err(|error| misread(&error))?))
}

impl Card {
    /// Events as they happen, a line each, also while there is no card. It goes on until it is dropped.
    ///
    /// # Errors
    /// [`Refusal::Misread`].
    pub async fn events(
        &self,
        query: &EventQuery,
    ) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<>, Refusal> {
        let (wanted, filter) = understand(query)?;
        let follower = self.agent.follow(wanted).await;
        let card = self.clone();
        Ok(unfold((card, follower, filter), |(card, mut follower, filter)| async move {
            let lines = next(&card, &mut follower, filter.as_ref()).await?;
            Some((Ok(lines), (card, follower, filter)))
        }))
    }
}

/// The next lines; an empty one if nothing is told for a while.
async fn next(card: &Card, follower: &mut Follower, filter: Option<&FlowFilter>) -> Option<Bytes> {
    let mut lines = Vec::new();
    while lines.is_empty() {
        let Ok(news) = timeout(BEAT, follower.next()).await else { return Some("\n".into()) };
        // Names and mappings as they are now; without a card there are none.
        let state = card.state().unwrap_or_default();
        for event in told(&state, &news?, filter) {
            // What has numbers and words only can be written.
            if serde_json::to_writer(&mut lines, &event).is_ok() {
                lines.push(b'\n');
            }
        }
    }
    Some(lines.into())
}

/// What there is to tell of news: first what was lost before.
pub(crate) fn told(state: &CardState, news: &News, filter: Option<&FlowFilter>) -> Vec<Event> {
    let teller = Teller::new(state);
    let lost = (news.lost > 0).then(|| {
        let at = news.events.first().map_or_else(SystemTime::now, |told| told.at);
        Event::lost(timestamp(at), news.lost)
    });
    let events = news.events.iter().filter_map(|told| tell(&teller, told));
    let seen = events.filter(|event| match (filter, event.connection()) {
        (Some(filter), Some(connection)) => filter.matches_connection(connection),
        _ => true,
    });
    lost.into_iter().chain(seen).collect()
}

fn tell(teller: &Teller<'_>, told: &Told) -> Option<Event> {
    let times = Times {
        at: timestamp(told.at),
        began: told.began.map(timestamp),
        last_packet: told.last_packet.map(timestamp),
    };
    match &told.event {
        CardEvent::Flow(flow) => teller.tell(flow, times),
        CardEvent::Other(event) => Event::of_card(event, times.at),
    }
}

/// Times out of reach are of a clock that is wrong.
fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_or_refused() {
        let query = |events: Option<&str>, sample, filter: Option<&str>| {
            let (events, filter) = (events.map(str::to_owned), filter.map(str::to_owned));
            understand(&EventQuery { events, sample, filter, card: None })
        };
        let (all, filter) = query(None, None, None).expect("nothing is asked for");
        assert_eq!((all.kinds, all.sample_log2), (Kinds::of(&Kind::ALL.map(Kind::of_card)), 0));
        assert_eq!(filter, None);
        let (some, _) = query(Some("made, ended"), Some(64), Some("vrf 2")).expect("all is right");
        let kinds = [Kind::Made, Kind::Ended].map(Kind::of_card);
        assert_eq!((some.kinds, some.sample_log2), (Kinds::of(&kinds), 6));
        for (events, sample, filter) in [
            (Some("made,born"), None, None),
            (Some(""), None, None),
            (None, Some(0), None),
            (None, Some(3), None),
            (None, Some(1 << 16), None),
            (None, None, Some("nonsense of all kinds")),
        ] {
            let refused = query(events, sample, filter);
            assert!(
                matches!(refused, Err(Refusal::Misread(_))),
                "{events:?} {sample:?} {filter:?}"
            );
        }
    }
}
