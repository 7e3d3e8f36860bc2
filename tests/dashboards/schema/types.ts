// Grafana's published types of a dashboard, made strict: the options and field settings of each panel are those of its own
// type, and a word of an enum is written as JSON has it. A field that the types do not know is an error.

import type * as raw from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type * as common from './node_modules/@grafana/schema/dist/types/common/common.gen';
import type * as bargauge from './node_modules/@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen';
import type * as heatmap from './node_modules/@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/types.gen';
import type * as stat from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as timeline from './node_modules/@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen';
import type * as table from './node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as timeseries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

// The query of a Prometheus data source is not among the published types beyond what all queries have.
interface Query extends common.DataQuery {
  datasource: raw.DataSourceRef;
  editorMode: 'code' | 'builder';
  expr: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  legendFormat: string;
  range: boolean;
}

type Of<Type, Options, Custom> = Omit<raw.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> &
  Required<Pick<raw.Panel, 'id' | 'title' | 'description' | 'datasource' | 'gridPos'>> & {
    type: Type;
    options: Options;
    targets: Query[];
    fieldConfig: Omit<raw.FieldConfigSource, 'defaults'> & {
      defaults: Omit<raw.FieldConfig, 'custom'> & Required<Pick<raw.FieldConfig, 'unit' | 'noValue'>> & { custom: Custom };
    };
  };

type Nothing = Record<string, never>;

type Panel =
  | Of<'bargauge', bargauge.Options, Nothing>
  | Of<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Of<'stat', stat.Options, Nothing>
  | Of<'state-timeline', timeline.Options, timeline.FieldConfig>
  | Of<'table', table.Options, table.FieldConfig>
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | raw.RowPanel;

export type Dashboard = Json<Omit<raw.Dashboard, 'panels'> & { uid: string; panels: Panel[] }>;
