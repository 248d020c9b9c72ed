//! The screen of `penstock top`, and its keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Result;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table, TableState, Tabs};

use super::News;
use super::rates::{Panel, Rows, Sample, Top, between};

/// How long a key may wait for the screen.
const KEYS: Duration = Duration::from_millis(100);
/// The keys, for people.
const HELP: &str = "Tab, 1-4: panel   up, down, PgUp, PgDn: rows   p: hold   q: quit";

/// What is shown, and how.
struct Screen {
    panel: Panel,
    /// The first row that is shown.
    row: usize,
    held: bool,
    top: Option<Top>,
    /// Why there was nothing new last.
    error: Option<String>,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Redraw,
    Quit,
}

/// Shows samples until somebody has seen enough.
pub(super) fn show(first: Sample, news: &Receiver<News>, wants_flows: &AtomicBool) -> Result<()> {
    let mut terminal = ratatui::try_init()?;
    let shown = run(&mut terminal, first, news, wants_flows);
    ratatui::try_restore()?;
    shown
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    first: Sample,
    news: &Receiver<News>,
    wants_flows: &AtomicBool,
) -> Result<()> {
    let mut screen = Screen::new();
    let mut last = first;
    loop {
        terminal.draw(|frame| screen.draw(frame))?;
        loop {
            if event::poll(KEYS)? {
                match event::read()? {
                    Event::Key(key) => match screen.key(key) {
                        Asked::Quit => return Ok(()),
                        Asked::Redraw => break,
                        Asked::Nothing => {}
                    },
                    Event::Resize(..) => break,
                    _ => {}
                }
            }
            wants_flows.store(screen.panel.reads_flows(), Ordering::Relaxed);
            let mut some = false;
            for new in news.try_iter() {
                some = true;
                screen.take(&mut last, new);
            }
            if some {
                break;
            }
        }
    }
}

impl Screen {
    fn new() -> Self {
        Self { panel: Panel::Interfaces, row: 0, held: false, top: None, error: None }
    }

    fn take(&mut self, last: &mut Sample, new: News) {
        match new {
            Ok(sample) => {
                if !self.held {
                    let mut top = between(last, &sample);
                    // Rates of flows are between two samples that have them.
                    if last.flows.is_none() {
                        (top.services, top.flows) = (None, None);
                    }
                    self.top = Some(top);
                }
                *last = *sample;
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Asked {
        if key.kind == KeyEventKind::Release {
            return Asked::Nothing;
        }
        let number = Panel::ALL.iter().position(|panel| *panel == self.panel).unwrap_or(0);
        let all = Panel::ALL.len();
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Asked::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Asked::Quit;
            }
            KeyCode::Char('p') => self.held = !self.held,
            KeyCode::Tab | KeyCode::Right => self.turn_to(number + 1),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(number + all - 1),
            KeyCode::Char(digit @ '1'..='4') => self.turn_to(digit as usize - '1' as usize),
            KeyCode::Down => self.row += 1,
            KeyCode::Up => self.row = self.row.saturating_sub(1),
            KeyCode::PageDown => self.row += 10,
            KeyCode::PageUp => self.row = self.row.saturating_sub(10),
            KeyCode::Home => self.row = 0,
            _ => return Asked::Nothing,
        }
        Asked::Redraw
    }

    fn turn_to(&mut self, number: usize) {
        (self.panel, self.row) = (Panel::ALL[number % Panel::ALL.len()], 0);
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let one = Constraint::Length(1);
        let [headline, tabs, body, foot] =
            Layout::vertical([one, one, Constraint::Min(0), one]).areas(frame.area());
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let number = Panel::ALL.iter().position(|panel| *panel == self.panel);
        let titles = Panel::ALL.iter().enumerate().map(|(i, p)| format!("{} {}", i + 1, p.title()));
        frame.render_widget(
            Tabs::new(titles).select(number).highlight_style(reversed).divider(" "),
            tabs,
        );
        let said = match (&self.error, self.held) {
            (Some(error), _) => error.clone(),
            (None, true) => format!("held   {HELP}"),
            (None, false) => HELP.to_owned(),
        };
        frame.render_widget(Paragraph::new(said), foot);
        let waits = || Paragraph::new(Line::from("the first interval is not over yet"));
        let Some(top) = &self.top else {
            frame.render_widget(waits(), body);
            return;
        };
        frame.render_widget(Paragraph::new(top.headline()).style(bold), headline);
        let Some(Rows { head, rows }) = self.panel.rows(top) else {
            frame.render_widget(waits(), body);
            return;
        };
        self.row = self.row.min(rows.len().saturating_sub(1));
        let widths = (0..head.len()).map(|column| {
            let cells = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
            Constraint::Length(u16::try_from(cells.max(head[column].len())).unwrap_or(u16::MAX))
        });
        let table = Table::new(rows.iter().cloned().map(Row::new), widths)
            .header(Row::new(head.iter().copied()).style(bold))
            .column_spacing(2);
        let mut state = TableState::new().with_offset(self.row);
        frame.render_stateful_widget(table, body, &mut state);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::rates::tests::sample;
    use super::*;

    fn press(screen: &mut Screen, code: KeyCode) -> Asked {
        screen.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn text(screen: &mut Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 9)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn panels_show_what_passes() {
        let start = Instant::now();
        let mut screen = Screen::new();
        assert!(text(&mut screen).contains("the first interval is not over yet"));
        let mut last = sample(start, 1000);
        screen.take(&mut last, Ok(Box::new(sample(start + Duration::from_secs(2), 5000))));
        insta::assert_snapshot!("interfaces", text(&mut screen));
        assert_eq!(press(&mut screen, KeyCode::Tab), Asked::Redraw);
        insta::assert_snapshot!("services", text(&mut screen));
        press(&mut screen, KeyCode::Char('3'));
        press(&mut screen, KeyCode::Down);
        insta::assert_snapshot!("flows_from_the_second", text(&mut screen));
        press(&mut screen, KeyCode::Char('4'));
        // As far down as there is anything.
        press(&mut screen, KeyCode::PageDown);
        insta::assert_snapshot!("drops_the_last", text(&mut screen));
        press(&mut screen, KeyCode::Tab);
        assert_eq!(screen.panel, Panel::Interfaces);
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Asked::Quit);
    }

    #[test]
    fn what_is_held_stays_and_an_error_is_said() {
        let start = Instant::now();
        let mut screen = Screen::new();
        let at = |seconds, packets| sample(start + Duration::from_secs(seconds), packets);
        let mut last = at(0, 0);
        screen.take(&mut last, Ok(Box::new(at(1, 10))));
        press(&mut screen, KeyCode::Char('p'));
        screen.take(&mut last, Ok(Box::new(at(2, 1000))));
        assert_eq!(screen.top.as_ref().unwrap().made, 10.0);
        screen.take(&mut last, Err("no daemon answers".to_owned()));
        let shown = text(&mut screen);
        assert!(shown.contains("no daemon answers") && shown.contains("cent222"), "{shown}");
        press(&mut screen, KeyCode::Char('p'));
        // Since the last one that was read, not since the last one that was shown.
        screen.take(&mut last, Ok(Box::new(at(4, 3000))));
        assert_eq!(screen.top.as_ref().unwrap().made, 1000.0);
        assert!(!text(&mut screen).contains("no daemon answers"));
    }

    #[test]
    fn rates_of_flows_need_two_readings() {
        let start = Instant::now();
        let mut screen = Screen::new();
        press(&mut screen, KeyCode::Char('3'));
        let mut last = Sample { flows: None, ..sample(start, 1000) };
        screen.take(&mut last, Ok(Box::new(sample(start + Duration::from_secs(1), 2000))));
        assert!(text(&mut screen).contains("the first interval is not over yet"));
        screen.take(&mut last, Ok(Box::new(sample(start + Duration::from_secs(2), 3000))));
        assert_eq!(screen.top.as_ref().unwrap().flows.as_ref().unwrap()[0].rate.packets, 3000.0);
    }
}
