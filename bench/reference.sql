-- What a careful analyst writes by hand for the demo's decision: one query from the four CSV files to the
-- 336,776 examples with their features as known two hours before departure. It is the limit that Headway's own
-- preparation is measured against, so it is as fast as we could make it without giving up a right answer.
--
-- Parameters: $flights, $airports, $planes, $weather: paths of CSV files. Times in the result are UTC, without zone.
--
-- Windows. A flight stands in the window (predict_at - w, predict_at] from the moment its arrival is known until
-- its scheduled departure falls out of it: it ENTERS at greatest(known, event) and LEAVES at greatest(known, event + w).
-- So +1 and -1 at these moments, one running sum, and one as-of join give exact integer counts for every example.
-- The deltas of a key add up to nought, so the running sum may go on across keys: no PARTITION BY, which lets
-- DuckDB sort once and stream. Ties share one total (the default frame is RANGE), so any of them may be joined.
-- Tried, whole query, two threads, DuckDB 2.0 (seconds, medians of five):
--   this form                                                                     1.15
--   PARTITION BY key, deltas grouped by moment first                              1.43
--   deltas grouped by moment first, without PARTITION BY                          1.13, for one more step
--   as-of joins from the distinct (key, predict_at) and hash joins back           1.08, for twice the text
--   sniffed types of the columns                                                  0.1 to 0.2 more
--   join of each flight with all in its window, then GROUP BY                     20 times as long; the same answer
-- A frame RANGE BETWEEN w PRECEDING cannot say it: what is known and what falls in the window are two different times.

with flights as (
    select
        carrier, flight, origin, dest, tailnum, distance, arr_delay, dep_delay, sched_arr_time,
        sched_dep_time // 100 as hour,
        isodow(make_date(year, month, day)) as weekday,
        timezone(
            'America/New_York',
            make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0)
        ) as departs
    from read_csv(
        $flights, header = true, nullstr = 'NA',
        columns = {
            'year': 'SMALLINT', 'month': 'TINYINT', 'day': 'TINYINT', 'dep_time': 'SMALLINT',
            'sched_dep_time': 'SMALLINT', 'dep_delay': 'SMALLINT', 'arr_time': 'SMALLINT',
            'sched_arr_time': 'SMALLINT', 'arr_delay': 'SMALLINT', 'carrier': 'VARCHAR', 'flight': 'SMALLINT',
            'tailnum': 'VARCHAR', 'origin': 'VARCHAR', 'dest': 'VARCHAR', 'air_time': 'SMALLINT',
            'distance': 'SMALLINT', 'hour': 'TINYINT', 'minute': 'TINYINT', 'time_hour': 'VARCHAR'
        }
    )
),

-- The destination's clock: the four airports that the file lacks (SJU, BQN, STT, PSE) keep Puerto Rico's.
-- The arrival is the first time after departure that this clock shows sched_arr_time. No schedule of 2013 falls into
-- an hour that its zone skips or repeats (tests hold that), so each reading is one instant.
zoned as (
    select
        f.*,
        coalesce(a.tzone, 'America/Puerto_Rico') as zone,
        timezone(zone, departs) as departs_there,
        time_bucket(interval 1 day, departs_there)
            + to_minutes(sched_arr_time // 100 * 60 + sched_arr_time % 100) as same_day,
        timezone(
            zone, case when same_day > departs_there then same_day else same_day + interval 1 day end
        ) as arrives
    from flights f
    left join (select faa, tzone from read_csv($airports, nullstr = 'NA')) a on a.faa = f.dest
),

timed as materialized (
    select
        carrier, flight, origin, dest, tailnum, distance, hour, weekday, arr_delay,
        make_timestamp(epoch_us(departs)) as sched_dep,
        make_timestamp(epoch_us(arrives)) as sched_arr,
        sched_dep + to_minutes(dep_delay) as actual_dep,
        sched_arr + to_minutes(arr_delay) as actual_arr,
        sched_dep - interval 2 hours as predict_at,
        arr_delay > 30 as late
    from zoned
),

-- A flight always arrives after its scheduled departure, so it enters when it arrives.
carrier_steps as (
    select carrier, moment, sum(n) over w as n, sum(late) over w as late
    from (
        select carrier, actual_arr as moment, 1 as n, late::integer as late
        from timed where actual_arr is not null
        union all
        select carrier, greatest(actual_arr, sched_dep + interval 24 hours), -1, -(late::integer)
        from timed where actual_arr is not null
    )
    window w as (order by carrier, moment)
),

origin_steps as (
    select origin, moment, sum(n) over w as n, sum(late) over w as late
    from (
        select origin, actual_arr as moment, 1 as n, late::integer as late
        from timed where actual_arr is not null
        union all
        select origin, greatest(actual_arr, sched_dep + interval 6 hours), -1, -(late::integer)
        from timed where actual_arr is not null
    )
    window w as (order by origin, moment)
),

weather as (
    select
        origin, hour_of as time_hour, hour_of + interval 10 minutes as known,
        temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib
    from (
        select *, make_timestamp(epoch_us(time_hour)) as hour_of
        from read_csv($weather, nullstr = 'NA', types = {'time_hour': 'TIMESTAMPTZ'})
    )
),

joined as (
    select
        t.*,
        w.* exclude (origin, known),
        predict_at - w.time_hour <= interval 6 hours as fresh,
        c.late / nullif(c.n, 0) as carrier_late_24h,
        o.late / nullif(o.n, 0) as origin_late_6h,
        year(predict_at) - p.year as plane_age
    from timed t
    asof left join carrier_steps c on t.carrier = c.carrier and t.predict_at >= c.moment
    asof left join origin_steps o on t.origin = o.origin and t.predict_at >= o.moment
    asof left join weather w on t.origin = w.origin and t.predict_at >= w.known
    left join (select tailnum, year from read_csv($planes, nullstr = 'NA')) p on p.tailnum = t.tailnum
)

select
    carrier, flight, origin, dest, tailnum, sched_dep, sched_arr, actual_dep, actual_arr, predict_at,
    arr_delay, late, time_hour as weather_hour,
    distance::float as distance, hour::float as hour, weekday::float as weekday,
    case when fresh then temp end::float as temp,
    case when fresh then dewp end::float as dewp,
    case when fresh then humid end::float as humid,
    case when fresh then wind_dir end::float as wind_dir,
    case when fresh then wind_speed end::float as wind_speed,
    case when fresh then wind_gust end::float as wind_gust,
    case when fresh then precip end::float as precip,
    case when fresh then pressure end::float as pressure,
    case when fresh then visib end::float as visib,
    carrier_late_24h::float as carrier_late_24h,
    origin_late_6h::float as origin_late_6h,
    plane_age::float as plane_age
from joined
