// Flags of the dashboard beside those that every component takes.
import { z } from "@podwire/base";

export const flags = {
  "listen-address": z.string().default("127.0.0.1"),
  /** 0 lets the system choose; the log says which. */
  port: z.coerce.number().int().min(0).max(65_535).default(0),
};
