// Errors that end a non-interactive shell.
import { PodwireError } from "@podwire/base";

/** Message (without the shell's name) and status. */
export class ShellError extends PodwireError {
  readonly status: number;
  constructor(text: string, status = 2) {
    super(text);
    this.status = status;
  }
}
