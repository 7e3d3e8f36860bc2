//! A panel of a dashboard as data, and the JSON that Grafana 13 takes for it: every option that its schema requires, and no other.
//!
//! Must never: know which metrics there are.

use serde_json::{Value, json};

/// What Grafana calls the version of its dashboards' schema.
pub(crate) const SCHEMA_VERSION: u32 = 42;

/// How results are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// One number, its course behind it.
    Stat,
    /// Lines over time.
    Lines,
    /// Areas over time, one upon the other.
    Areas,
    /// A bar for each result at the end of the time range.
    Bars,
    /// A bar for each bucket of a histogram.
    Buckets,
    /// Buckets over time.
    Heatmap,
    /// A row for each set of labels, with a column for each query.
    Table,
    /// Whether something is so, over time.
    States,
}

/// What is asked, and what the result is called.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) expr: String,
    /// With `{{label}}` for the value of a label; in a table the head of the column.
    pub(crate) legend: &'static str,
    /// In a table the column's own; else empty.
    pub(crate) unit: &'static str,
}

/// One panel.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// What the figures say.
    pub(crate) description: &'static str,
    /// When there is nothing to show: follows "Empty" in the description. Empty itself if there is always something.
    pub(crate) empty: &'static str,
    /// Stands in the panel then.
    pub(crate) no_value: &'static str,
    /// As Grafana names units.
    pub(crate) unit: &'static str,
    pub(crate) look: Look,
    /// In parts of a row of 24, and in rows.
    pub(crate) size: (u32, u32),
    /// From which value on which colour; the first colour is for all below.
    pub(crate) steps: (&'static str, &'static [(f64, &'static str)]),
    pub(crate) queries: Vec<Query>,
}

/// A row's title, and its panels from left to right.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

impl Panel {
    /// A panel of a look; what it does not say is as in most panels of that look.
    pub(crate) fn new(look: Look, title: &'static str, unit: &'static str, description: &'static str) -> Self {
        let size = match look {
            Look::Stat => (4, 4),
            Look::Bars | Look::Buckets => (8, 8),
            Look::Lines | Look::Areas | Look::Heatmap | Look::States => (12, 8),
            Look::Table => (24, 8),
        };
        let steps = ("green", [].as_slice());
        Self { title, description, empty: "", no_value: "-", unit, look, size, steps, queries: Vec::new() }
    }

    pub(crate) fn query(mut self, legend: &'static str, expr: impl Into<String>) -> Self {
        self.queries.push(Query { expr: expr.into(), legend, unit: "" });
        self
    }

    /// A column of a table.
    pub(crate) fn column(mut self, head: &'static str, unit: &'static str, expr: impl Into<String>) -> Self {
        self.queries.push(Query { expr: expr.into(), legend: head, unit });
        self
    }

    /// When the panel has nothing to show, and what stands in it then.
    pub(crate) fn empty(mut self, when: &'static str, no_value: &'static str) -> Self {
        (self.empty, self.no_value) = (when, no_value);
        self
    }

    pub(crate) fn wide(mut self, width: u32) -> Self {
        self.size.0 = width;
        self
    }

    pub(crate) fn high(mut self, height: u32) -> Self {
        self.size.1 = height;
        self
    }

    pub(crate) fn steps(mut self, first: &'static str, from: &'static [(f64, &'static str)]) -> Self {
        self.steps = (first, from);
        self
    }

    /// Whether one look at the end of the time range is enough.
    fn is_instant(&self) -> bool {
        let whole_range = self.queries.iter().any(|query| query.expr.contains("$__range"));
        matches!(self.look, Look::Bars | Look::Buckets | Look::Table) || (self.look == Look::Stat && whole_range)
    }

    /// The panel at a place on the dashboard.
    pub(crate) fn json(&self, id: usize, (x, y): (u32, u32)) -> Value {
        let description = if self.empty.is_empty() {
            self.description.to_owned()
        } else {
            format!("{} Empty {}.", self.description, self.empty)
        };
        json!({
            "id": id,
            "type": self.kind(),
            "title": self.title,
            "description": description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.size.0, "h": self.size.1},
            "fieldConfig": {"defaults": self.field(), "overrides": self.columns()},
            "options": self.options(),
            "targets": self.targets(),
            "transformations": self.transformations(),
        })
    }

    fn kind(&self) -> &'static str {
        match self.look {
            Look::Stat => "stat",
            Look::Lines | Look::Areas => "timeseries",
            Look::Bars | Look::Buckets => "bargauge",
            Look::Heatmap => "heatmap",
            Look::Table => "table",
            Look::States => "state-timeline",
        }
    }

    fn field(&self) -> Value {
        let mut steps = vec![json!({"color": self.steps.0, "value": null})];
        steps.extend(self.steps.1.iter().map(|(value, color)| json!({"color": color, "value": value})));
        let by_series = matches!(self.look, Look::Lines | Look::Areas);
        let mut field = json!({
            "unit": self.unit,
            "noValue": self.no_value,
            "color": {"mode": if by_series { "palette-classic" } else { "thresholds" }},
            "thresholds": {"mode": "absolute", "steps": steps},
            "mappings": [],
            "custom": self.custom(),
        });
        match self.look {
            Look::Bars | Look::Buckets | Look::Lines | Look::Areas => field["min"] = json!(0),
            Look::States => {
                field["mappings"] = json!([{"type": "value", "options": {
                    "0": {"text": "no", "color": "#808080", "index": 0},
                    "1": {"text": "yes", "color": "blue", "index": 1},
                }}]);
            }
            Look::Stat | Look::Heatmap | Look::Table => {}
        }
        if self.unit == "short" {
            field["decimals"] = json!(0);
        }
        if self.unit == "percentunit" && self.look == Look::Bars {
            field["max"] = json!(1);
        }
        field
    }

    /// Units of a table's columns.
    fn columns(&self) -> Value {
        let own = self.queries.iter().filter(|query| !query.unit.is_empty());
        own.map(|query| {
            json!({
                "matcher": {"id": "byName", "options": query.legend},
                "properties": [{"id": "unit", "value": query.unit}],
            })
        })
        .collect()
    }

    fn custom(&self) -> Value {
        let shown = json!({"legend": false, "tooltip": false, "viz": false});
        match self.look {
            Look::Lines | Look::Areas => {
                let areas = self.look == Look::Areas;
                json!({
                    "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1,
                    "fillOpacity": if areas { 40 } else { 8 }, "gradientMode": "none",
                    "showPoints": "never", "pointSize": 4, "spanNulls": false,
                    "stacking": {"mode": if areas { "normal" } else { "none" }, "group": "A"},
                    "axisPlacement": "auto", "axisLabel": "", "scaleDistribution": {"type": "linear"},
                    "hideFrom": shown, "thresholdsStyle": {"mode": "off"},
                })
            }
            Look::States => json!({"fillOpacity": 70, "lineWidth": 0, "hideFrom": shown}),
            Look::Table => json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false}),
            Look::Heatmap => json!({"scaleDistribution": {"type": "linear"}, "hideFrom": shown}),
            Look::Stat | Look::Bars | Look::Buckets => json!({}),
        }
    }

    fn options(&self) -> Value {
        let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
        let legend = json!({"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true});
        let tooltip = json!({"mode": "multi", "sort": "desc"});
        match self.look {
            Look::Stat => json!({
                "reduceOptions": reduce, "orientation": "auto", "textMode": "value",
                "colorMode": if self.steps.1.is_empty() { "none" } else { "value" },
                "graphMode": if self.is_instant() { "none" } else { "area" }, "justifyMode": "auto",
                "percentChangeColorMode": "standard", "showPercentChange": false, "wideLayout": true,
            }),
            Look::Lines | Look::Areas => json!({"legend": legend, "tooltip": tooltip}),
            Look::Bars | Look::Buckets => json!({
                "reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic", "valueMode": "text",
                "namePlacement": "auto", "showUnfilled": true, "sizing": "auto", "minVizWidth": 8,
                "minVizHeight": 16, "maxVizHeight": 40,
                "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": false},
            }),
            Look::Heatmap => json!({
                "calculate": false, "cellGap": 1, "showValue": "never",
                "color": {"mode": "scheme", "scheme": "Blues", "scale": "exponential", "exponent": 0.5,
                    "fill": "blue", "reverse": false, "steps": 64},
                "exemplars": {"color": "orange"}, "filterValues": {"le": 1e-9}, "legend": {"show": true},
                "rowsFrame": {"layout": "auto"}, "tooltip": {"mode": "single", "yHistogram": false},
                "yAxis": {"axisPlacement": "left", "unit": self.unit, "reverse": false},
            }),
            Look::Table => json!({"cellHeight": "sm", "frameIndex": 0, "showHeader": true, "sortBy": self.order()}),
            Look::States => json!({
                "alignValue": "left", "mergeValues": true, "rowHeight": 0.8, "showValue": "auto",
                "legend": legend, "tooltip": {"mode": "single", "sort": "none"},
            }),
        }
    }

    fn targets(&self) -> Value {
        let instant = self.is_instant();
        let format = match self.look {
            Look::Table => "table",
            Look::Heatmap | Look::Buckets => "heatmap",
            _ => "time_series",
        };
        let legend =
            |query: &Query| if self.look == Look::Table { "__auto".to_owned() } else { query.legend.to_owned() };
        let targets = self.queries.iter().zip('A'..).map(|(query, reference)| {
            json!({
                "refId": reference.to_string(), "datasource": datasource(), "editorMode": "code", "expr": query.expr,
                "legendFormat": legend(query), "instant": instant, "range": !instant, "format": format,
            })
        });
        targets.collect()
    }

    /// A table begins with what is least in its first column.
    fn order(&self) -> Value {
        self.queries.iter().take(1).map(|query| json!({"displayName": query.legend, "desc": false})).collect()
    }

    /// The columns of a table are named after its queries.
    fn transformations(&self) -> Value {
        if self.look != Look::Table {
            return json!([]);
        }
        let names: serde_json::Map<String, Value> =
            self.queries.iter().zip('A'..).map(|(query, at)| (format!("Value #{at}"), query.legend.into())).collect();
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": {"Time": true}, "includeByName": {}, "indexByName": {}, "renameByName": names,
            }},
        ])
    }
}

pub(crate) fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Rows of panels, each panel at its place: from left to right, and below when a row of 24 is full.
pub(crate) fn lay_out(rows: &[Row]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut y = 0;
    for row in rows {
        out.push(json!({
            "id": out.len() + 1, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for panel in &row.panels {
            if x + panel.size.0 > 24 {
                (x, y, height) = (0, y + height, 0);
            }
            out.push(panel.json(out.len() + 1, (x, y)));
            x += panel.size.0;
            height = height.max(panel.size.1);
        }
        y += height;
    }
    out
}
