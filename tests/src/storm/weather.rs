//! What a storm came to.

/// What came about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Frames that went in.
    pub frames: u64,
    /// Replies that reached a client of whom no entry was taken away.
    pub replies: u64,
    /// Replies that reached another client, and may look like those of its other connections.
    pub loose_replies: u64,
    /// Replies, of both kinds, that did not come from where the request went, for a reason that the specification gives.
    pub excused: u64,
    /// Packets refused because replies could not be told apart.
    pub clashes: u64,
    /// Packets refused because the queue was full.
    pub queue_full: u64,
    /// Packets refused because the table was full.
    pub table_full: u64,
    /// Replies without a flow.
    pub unusable: u64,
    /// Connections that went on by another tunnel.
    pub moves: u64,
    /// Pairs that the host deleted.
    pub deleted: u64,
}

impl std::ops::AddAssign for Weather {
    fn add_assign(&mut self, w: Self) {
        self.frames += w.frames;
        self.replies += w.replies;
        self.loose_replies += w.loose_replies;
        self.excused += w.excused;
        self.clashes += w.clashes;
        self.queue_full += w.queue_full;
        self.table_full += w.table_full;
        self.unusable += w.unusable;
        self.moves += w.moves;
        self.deleted += w.deleted;
    }
}

impl Weather {
    /// What storms are made for and these did not meet.
    #[must_use]
    pub fn never_met(&self) -> Vec<&'static str> {
        let all = [
            ("replies", self.replies),
            ("clashes", self.clashes),
            ("a full queue", self.queue_full),
            ("replies without a flow", self.unusable),
            ("moves", self.moves),
            ("deleted pairs", self.deleted),
        ];
        all.into_iter().filter(|a| a.1 == 0).map(|a| a.0).collect()
    }
}
