import { describe, expect, test } from "vitest";
import { parseSchedule, ScheduleError } from "./schedule.ts";

const at = (iso: string) => Date.parse(iso);
const next = (schedule: string, from: string, zone?: string) => {
  const ms = parseSchedule(schedule, zone).next(at(from));
  return ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16);
};

describe("cron grammar", () => {
  test.each([
    ["* * * * *", "2026-01-01T00:00:20Z", "2026-01-01T00:01"],
    ["*/15 * * * *", "2026-01-01T00:07:00Z", "2026-01-01T00:15"],
    ["5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45"],
    ["0 0 1 1 *", "2026-01-01T00:00:00Z", "2027-01-01T00:00"],
    ["30 9-17/4 * * mon-fri", "2026-01-02T18:00:00Z", "2026-01-05T09:30"],
    ["0 0 13 * FRI", "2026-02-01T00:00:00Z", "2026-02-06T00:00"],
    ["0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00"],
    ["@hourly", "2026-01-01T00:30:00Z", "2026-01-01T01:00"],
    ["@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00"],
    ["@every 90m", "2026-01-01T00:00:00Z", "2026-01-01T01:30"],
    ["0 12 ? * *", "2026-01-01T13:00:00Z", "2026-01-02T12:00"],
  ])("%s after %s is %s", (schedule, from, want) => expect(next(schedule, from)).toBe(want));

  test("a time zone with summer time: the hour that is skipped is skipped, others keep their local time", () => {
    expect(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin")).toBe("2026-03-30T00:30");
    expect(next("0 9 * * *", "2026-07-01T12:00:00Z", "America/New_York")).toBe("2026-07-01T13:00");
    expect(next("0 9 * * *", "2026-12-01T15:00:00Z", "America/New_York")).toBe("2026-12-02T14:00");
  });

  test("a day that never comes", () => expect(next("0 0 30 2 *", "2026-01-01T00:00:00Z")).toBeUndefined());

  test.each([
    "* * * *",
    "0 * * * * *",
    "60 * * * *",
    "* * * * 7",
    "* * L * *",
    "* * * * 1#2",
    "@monthlyish",
    "@every x",
    "TZ=UTC * * * * *",
    "*/0 * * * *",
    "5-1 * * * *",
    "a * * * *",
  ])("%s is refused", (schedule) => expect(() => parseSchedule(schedule)).toThrow(ScheduleError));

  test("an unknown zone is refused", () => expect(() => parseSchedule("* * * * *", "Mars/Base")).toThrow("unknown time zone Mars/Base"));
});
