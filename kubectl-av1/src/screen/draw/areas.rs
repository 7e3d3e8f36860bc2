//! Where everything is on a terminal of any size. Pure.

use ratatui::layout::Rect;

/// Columns below which only the queue and the chosen job are shown.
const TWO_COLUMNS: u16 = 72;
/// Columns that the queue has at least beside the right half.
const LEFT_LEAST: u16 = 54;
/// Rows of the chosen job.
const DETAILS: (u16, u16) = (8, 16);
/// Rows below which there is no place for the chosen job.
const TALL: u16 = 12;

/// The parts of the screen; one of no size is not drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    /// All between header and footer.
    pub(crate) body: Rect,
    pub(crate) queue: Rect,
    pub(crate) details: Rect,
    /// The line between left and right.
    pub(crate) fence: Rect,
    pub(crate) nodes: Rect,
    pub(crate) chart: Rect,
    pub(crate) events: Rect,
    pub(crate) footer: Rect,
}

impl Areas {
    /// Rows of jobs below the queue's title and column names.
    pub(crate) fn rows(&self) -> usize {
        usize::from(self.queue.height.saturating_sub(2))
    }
}

/// Divides a terminal of so many columns and rows.
pub(crate) fn areas((width, height): (u16, u16), problems: usize, nodes: usize) -> Areas {
    let header = (2 + u16::try_from(problems).unwrap_or(u16::MAX).min(height / 4)).min(height.saturating_sub(2));
    let footer = height.min(1);
    let body = Rect::new(0, header, width, height.saturating_sub(header + footer));
    let two = width >= TWO_COLUMNS;
    let left = if two { (u32::from(width) * 62 / 100) as u16 } else { width }.max(LEFT_LEAST.min(width));
    let right = Rect::new(left + 1, body.y, width.saturating_sub(left + 1), body.height);
    let details = if body.height < TALL { 0 } else { (body.height * 2 / 5).clamp(DETAILS.0, DETAILS.1) };
    let queue = Rect::new(0, body.y, left, body.height - details);
    let (nodes, chart, events) = if two { side(right, nodes) } else { Default::default() };
    Areas {
        header: Rect::new(0, 0, width, header),
        body,
        queue,
        details: Rect::new(0, queue.bottom(), left, details),
        fence: if two { Rect::new(left, body.y, 1, body.height) } else { Rect::default() },
        nodes,
        chart,
        events,
        footer: Rect::new(0, height - footer, width, footer),
    }
}

/// Nodes, chart and events from top to bottom.
fn side(area: Rect, nodes: usize) -> (Rect, Rect, Rect) {
    let wanted = u16::try_from(1 + 2 * nodes.max(1)).unwrap_or(u16::MAX);
    let of_nodes = wanted.min((area.height / 3).max(3)).min(area.height);
    let rest = area.height - of_nodes;
    let of_chart = (rest / 2).min(24);
    let part = |y: u16, height: u16| Rect::new(area.x, y, area.width, height);
    let nodes = part(area.y, of_nodes);
    let chart = part(nodes.bottom(), of_chart);
    (nodes, chart, part(chart.bottom(), rest - of_chart))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_every_terminal_and_none_lies_over_another() {
        for (width, height) in [(80, 24), (120, 40), (240, 70), (72, 12), (71, 24), (20, 5), (10, 2), (1, 1), (0, 0)] {
            for (problems, nodes) in [(0, 0), (1, 1), (9, 40)] {
                let all = areas((width, height), problems, nodes);
                let parts =
                    [all.header, all.queue, all.details, all.fence, all.nodes, all.chart, all.events, all.footer];
                let cells: u32 = parts.iter().map(|part| part.area()).sum();
                let screen = Rect::new(0, 0, width, height);
                let covered = if width >= TWO_COLUMNS || width == 0 { screen.area() } else { cells };
                assert_eq!(cells, covered, "{width}x{height} with {problems} problems, {nodes} nodes");
                for (at, part) in parts.iter().enumerate() {
                    assert!(part.is_empty() || screen.union(*part) == screen, "{width}x{height}: {part}");
                    assert!(parts[..at].iter().all(|other| !other.intersects(*part)), "{width}x{height}: {part}");
                }
            }
        }
    }
}
