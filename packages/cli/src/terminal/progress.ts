// Progress the way kind shows it: a line per phase while it runs, rewritten to a tick when it is done. Without a terminal the line
// appears once, when the phase is over.
import type { Clock } from "@podwire/base";
import { paint, type Terminal } from "./terminal.ts";

export interface Progress {
  /** Runs `work` under a title; the work may rename the phase ("2 of 3 nodes") through its argument. */
  phase<T>(title: string, work: (rename: (title: string) => void) => Promise<T>): Promise<T>;
}

export function progressOn(terminal: Terminal, clock: Clock): Progress {
  const colour = terminal.errColour;
  return {
    async phase(title, work) {
      const startedMs = clock.monotonicMs();
      let shown = title;
      const draw = (mark: string, tail: string) => {
        const line = ` ${mark} ${shown}${tail}`;
        if (terminal.live) terminal.raw(`\r\x1b[2K${line}`);
        else if (tail !== " ...") terminal.err(line);
      };
      draw(paint(colour, "cyan", "•"), " ...");
      const finish = (mark: string) => {
        const seconds = (clock.monotonicMs() - startedMs) / 1000;
        draw(mark, seconds >= 0.1 ? paint(colour, "dim", ` (${seconds.toFixed(1)} s)`) : "");
        if (terminal.live) terminal.raw("\n");
      };
      try {
        const result = await work((to) => {
          shown = to;
          draw(paint(colour, "cyan", "•"), " ...");
        });
        finish(paint(colour, "green", "✓"));
        return result;
      } catch (e) {
        finish(paint(colour, "red", "✗"));
        throw e;
      }
    },
  };
}
