#!/bin/bash
# Monthly statistics of daily weather records.
#
# Reads {"station": "Seattle", "csv": "date,precipitation,...", "year"?: 2013}
# and prints one JSON document; "year" leaves all other years out. The CSV has
# the columns date (YYYY/MM/DD), precipitation (mm), temp_max and temp_min (°C),
# wind (m/s) and weather, in any order. Exit code 2: the input can't be used.
set -euo pipefail
export LC_ALL=C

fail() {
  echo "report: $1" >&2
  exit 2
}

input=$(cat)
jq -e '(.csv | type == "string") and (.year | type == "number" or . == null)' \
  <<<"$input" >/dev/null || fail 'input: "csv" must be a string and "year" a number'
year=$(jq -r '.year // ""' <<<"$input")

# One line of JSON for each month, in the order of the calendar.
months() {
  awk -F, -v year="$year" '
    function stop(text) { print "report: line " NR ": " text > "/dev/stderr"; failed = 1; exit 2 }
    function number(name,    value) {
      value = $(column[name])
      if (value !~ /^-?[0-9]+(\.[0-9]+)?$/) stop(name ": not a number: " value)
      return value + 0
    }
    { sub(/\r$/, "") }
    NR == 1 {
      for (i = 1; i <= NF; i++) column[$i] = i
      wanted = split("date precipitation temp_max temp_min wind weather", names, " ")
      for (i = 1; i <= wanted; i++) if (!(names[i] in column)) stop("no column " names[i])
      width = NF
      next
    }
    NF == 0 { next }
    NF != width { stop(NF " fields instead of " width) }
    {
      date = $(column["date"])
      if (date !~ /^[0-9][0-9][0-9][0-9]\/[01][0-9]\/[0-3][0-9]$/) stop("not a date: " date)
      gsub("/", "-", date)
      if (year != "" && substr(date, 1, 4) != year) next
      month = substr(date, 1, 7)
      if (!(month in days)) {
        order[++count] = month
        print "report: " month > "/dev/stderr"
      }
      days[month]++
      high = number("temp_max"); low = number("temp_min"); rain = number("precipitation")
      highs[month] += high; lows[month] += low; rains[month] += rain; winds[month] += number("wind")
      if (rain > 0) wet[month]++
      if (low < 0) frost[month]++
      if (!(month in hottest) || high > hottest[month]) { hottest[month] = high; hottest_day[month] = date }
      if (!(month in coldest) || low < coldest[month]) { coldest[month] = low; coldest_day[month] = date }
    }
    END {
      if (failed) exit 2
      for (i = 1; i <= count; i++) {
        m = order[i]; d = days[m]
        printf "{\"month\":\"%s\",\"days\":%d,\"mean_high_c\":%.1f,\"mean_low_c\":%.1f,", m, d, highs[m] / d, lows[m] / d
        printf "\"hottest\":{\"date\":\"%s\",\"c\":%.1f},", hottest_day[m], hottest[m]
        printf "\"coldest\":{\"date\":\"%s\",\"c\":%.1f},", coldest_day[m], coldest[m]
        printf "\"precipitation_mm\":%.1f,\"wet_days\":%d,\"frost_days\":%d,\"mean_wind_ms\":%.1f}\n", rains[m], wet[m], frost[m], winds[m] / d
      }
    }'
}

rows=$(jq -r '.csv' <<<"$input" | months) || exit 2
[ -n "$rows" ] || fail "no records${year:+ of $year}"
echo "report: $(wc -l <<<"$rows") months" >&2

jq -s --argjson request "$(jq '{station, year}' <<<"$input")" '{
  station: $request.station,
  from: .[0].month,
  to: .[-1].month,
  days: (map(.days) | add),
  precipitation_mm: (map(.precipitation_mm) | add * 10 | round / 10),
  wettest_month: (max_by(.precipitation_mm) | {month, precipitation_mm}),
  hottest_day: (map(.hottest) | max_by(.c)),
  coldest_day: (map(.coldest) | min_by(.c)),
  months: .
}' <<<"$rows"
