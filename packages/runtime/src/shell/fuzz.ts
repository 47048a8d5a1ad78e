// Random scripts from the grammar that the shell supports, for runs beside busybox's sh: both must print the same and end with the
// same status. Scripts end, write nothing outside of their folder and say nothing that differs by nature (pids, times, wording of errors).
import type { Random } from "@podwire/base";

const NAMES = ["a", "b", "c", "x1"] as const;
const WORDS = ["foo", "bar baz", "", "*", "a/b.c", "héllo", "0", "7", "-1", "x=y", "tab\there", "trailing "] as const;
const PATTERNS = ["*", "f*", "?oo", "[a-f]*", "*r", "b*z", "*.c", "", "*/*"] as const;
const NUMBERS = ["0", "1", "2", "7", "10", "-3", "08", "0x1f"] as const;

/** How deep commands nest. */
const DEPTH_MAX = 3;

class Generator {
  readonly #r: Random;
  constructor(r: Random) {
    this.#r = r;
  }
  #pick<T>(list: readonly T[]): T {
    return this.#r.pick(list);
  }
  #chance(oneIn: number): boolean {
    return this.#r.below(oneIn) === 0;
  }

  script(): string {
    const lines = NAMES.map((n) => `${n}=${this.#quoted(this.#pick(WORDS))}`);
    const count = 2 + this.#r.below(5);
    for (let i = 0; i < count; i++) lines.push(this.#command(0));
    lines.push('echo "[$a][$b][$c][$x1]" $?');
    return `${lines.join("\n")}\n`;
  }

  #quoted(text: string): string {
    return this.#chance(2) && !text.includes("'") ? `'${text}'` : `"${text.replace(/["$`\\]/g, "\\$&")}"`;
  }

  #word(depth: number): string {
    const n = this.#pick(NAMES);
    switch (this.#r.below(12)) {
      case 0:
        return this.#quoted(this.#pick(WORDS));
      case 1:
        return `$${n}`;
      case 2:
        return `"$${n}"`;
      case 3:
        return `"\${${n}${this.#pick([":-", "-", ":+", "+"])}${this.#pick(["d", "two words", '"q"'])}}"`;
      case 4:
        return `\${#${n}}`;
      case 5:
        return `"\${${n}${this.#pick(["#", "##", "%", "%%"])}${this.#pick(PATTERNS)}}"`;
      case 6:
        return `$((${this.#arith(2)}))`;
      case 7:
        return depth < DEPTH_MAX ? `"$( ${this.#command(depth + 1)})"` : "w";
      case 8:
        return depth < DEPTH_MAX ? `$( ${this.#command(depth + 1)})` : "w";
      case 9:
        return `"\${${n}/${this.#pick(["o", "b", "?", "a*"])}/${this.#pick(["X", "", "yy"])}}"`;
      case 10:
        return `"$${this.#pick(["#", "?", "1", "*", "@"])}"`;
      default:
        return this.#pick(["word", "-n", "5", "{a,b}", "~x", "\\$a", "a\\ b"]);
    }
  }

  #words(depth: number): string {
    return Array.from({ length: 1 + this.#r.below(3) }, () => this.#word(depth)).join(" ");
  }

  #arith(depth: number): string {
    if (depth === 0 || this.#chance(3)) return this.#chance(3) ? "n" : this.#pick(NUMBERS.filter((x) => x !== "08"));
    const op = this.#pick(["+", "-", "*", "<", "<=", "==", "!=", "&&", "||", "&", "|", "^", "<<"] as const);
    const right = op === "<<" ? "3" : this.#arith(depth - 1);
    return this.#chance(4) ? `(${this.#arith(depth - 1)} ${op} ${right})` : `${this.#arith(depth - 1)} ${op} ${right}`;
  }

  #test(depth: number): string {
    const w = () => `"${`$${this.#pick(NAMES)}`}"`;
    switch (this.#r.below(6)) {
      case 0:
        return `[ ${w()} = ${w()} ]`;
      case 1:
        return `[ -n ${w()} ]`;
      case 2:
        return `[ -z ${w()} -o ${w()} != foo ]`;
      case 3:
        return `[ ${this.#r.below(9)} ${this.#pick(["-eq", "-lt", "-ge", "-ne"])} ${this.#r.below(9)} ]`;
      case 4:
        return this.#chance(2) ? "true" : "false";
      default:
        return depth < DEPTH_MAX ? `! ${this.#test(depth + 1)}` : "true";
    }
  }

  #command(depth: number): string {
    const again = () => this.#command(depth + 1);
    switch (depth >= DEPTH_MAX ? this.#r.below(5) : this.#r.below(20)) {
      case 0:
        return `printf '<%s>' ${this.#words(depth)}; echo`;
      case 1:
        return `echo ${this.#words(depth)}`;
      case 2:
        return `${this.#pick(NAMES)}=${this.#word(depth)}`;
      case 3:
        return this.#test(depth);
      case 4:
        return `echo $((${this.#arith(2)}))`;
      case 5:
        return `if ${this.#test(depth)}; then ${again()}; else ${again()}; fi`;
      case 6:
        return `for i in ${this.#words(depth)}; do echo "i=$i"; ${again()}; done`;
      case 7: {
        // A counter of its own for each depth: an inner loop must not set back an outer one's.
        const n = `n${depth}`;
        const last = this.#pick([":", "continue", "break", `[ $${n} = 2 ] && break`]);
        return `${n}=0; while [ $${n} -lt ${this.#r.below(4)} ]; do ${n}=$((${n}+1)); ${again()}; ${last}; done`;
      }
      case 8:
        return `case ${this.#word(depth)} in ${this.#pick(PATTERNS) || "''"}) ${again()};; ${this.#pick(PATTERNS) || '""'}|foo) echo two;; *) echo else;; esac`;
      case 9:
        return `{ ${again()}; ${again()}; }`;
      case 10:
        return `( ${again()}; exit ${this.#r.below(5)} ); echo $?`;
      case 11:
        return `${again()} && ${again()} || ${again()}`;
      case 12:
        return `f() { ${again()}; return ${this.#r.below(4)}; }; f ${this.#words(depth)}; echo $?`;
      case 13:
        return `set -- ${this.#words(depth)}; echo $# "$*"; shift; echo "$@"`;
      case 14:
        return `echo ${this.#words(depth)} | ${this.#pick(["cat", "tr a-z A-Z", "wc -w", "sed 's/o/0/g'", 'while read -r v w; do echo "$w:$v"; done', "sort", "cut -c1-3", "grep -c o"])}`;
      case 15:
        // A here-document ends a line, so that nothing can follow it on the same.
        if (depth > 0) return `echo ${this.#words(depth)} | cat`;
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's to expand.
        return `cat <<EOF\n${this.#pick(["plain", "$a ${b} $((1+2))", "`echo sub`", "\\$a \\\\ \\` end"])}\nEOF`;
      case 16:
        return `IFS=${this.#pick(["' '", "o", "':'", "'/ '"])}; set -- ${this.#pick(["$a $b", "$c", "a:b::c", '"$b"'])}; echo $# "$1"; unset IFS`;
      case 17:
        return `unset ${this.#pick(NAMES)}; echo "\${${this.#pick(NAMES)}-unset}"`;
      case 18:
        return `trap 'echo bye $?' EXIT; ${again()}`;
      default:
        return `eval 'echo "$${this.#pick(NAMES)}"'; ${again()}`;
    }
  }
}

export function randomScript(r: Random): string {
  return new Generator(r).script();
}
