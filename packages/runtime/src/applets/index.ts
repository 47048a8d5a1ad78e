// The applets of busybox by name, and the multi-call program itself.
import { SysError } from "../kernel/errno.ts";
import type { Process, Program } from "../kernel/process.ts";
import { signalNumber } from "../kernel/signals.ts";
import { shellMain } from "../shell/main.ts";
import { echo, printf } from "../shell/printf.ts";
import { TestError, test } from "../shell/test-expression.ts";
import { awk } from "./awk-command.ts";
import * as bytes from "./bytes.ts";
import { date } from "./date.ts";
import { diff } from "./diff.ts";
import { expr } from "./expr.ts";
import * as files from "./files.ts";
import { find } from "./find.ts";
import { grep } from "./grep.ts";
import { arp, ifconfig, route } from "./interfaces.ts";
import { busyboxIp } from "./ip.ts";
import * as listing from "./listing.ts";
import { netstat } from "./netstat.ts";
import * as network from "./network.ts";
import { BUSYBOX, complain, die } from "./options.ts";
import * as processes from "./process.ts";
import { sed } from "./sed.ts";
import { sort } from "./sort.ts";
import { tar } from "./tar.ts";
import { reset, stty } from "./terminal.ts";
import * as text from "./text.ts";
import { top } from "./top.ts";
import { tr } from "./tr.ts";
import { traceroute } from "./traceroute.ts";

async function echoProgram(p: Process): Promise<number> {
  await p.write(1, Buffer.from(echo(p.argv.slice(1)), "latin1"));
  return 0;
}

async function printfProgram(p: Process): Promise<number> {
  const r = printf(p.argv.slice(1));
  if (r.out !== "") await p.write(1, Buffer.from(r.out, "latin1"));
  for (const e of r.errors) await complain(p, Buffer.from(e, "latin1").toString("utf8"));
  return r.code;
}

async function testProgram(p: Process): Promise<number> {
  let args = p.argv.slice(1);
  if (p.name.startsWith("[")) {
    if (args.at(-1) !== (p.name === "[" ? "]" : "]]")) return die(p, `missing ${p.name === "[" ? "]" : "]]"}`, 2);
    args = args.slice(0, -1);
  }
  try {
    return test(args, p, p.name === "[[");
  } catch (e) {
    if (e instanceof TestError) return die(p, e.message, 2);
    throw e;
  }
}

async function pwdProgram(p: Process): Promise<number> {
  await p.print(`${p.cwdPath}\n`);
  return 0;
}

async function killProgram(p: Process): Promise<number> {
  let args = p.argv.slice(1);
  let signal = 15;
  if (args[0]?.startsWith("-") && args[0] !== "--") {
    const name = args[0] === "-s" ? (args[1] ?? "") : args[0].slice(1);
    const n = signalNumber(name);
    if (n === undefined) return die(p, `bad signal name '${name}'`);
    signal = n;
    args = args.slice(args[0] === "-s" ? 2 : 1);
  }
  if (args.length === 0) return die(p, "you need to specify whom to kill");
  let status = 0;
  for (const a of args) {
    try {
      if (!/^-?\d+$/.test(a)) return die(p, `invalid number '${a}'`);
      p.kill(Number(a), signal);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complain(p, `can't kill pid ${a}: ${e.message}`);
      status = 1;
    }
  }
  return status;
}

async function syncProgram(): Promise<number> {
  return 0;
}

/** Name -> program. `sh` and `ash` are the shell. */
export const APPLETS: Readonly<Record<string, Program>> = {
  "[": testProgram,
  "[[": testProgram,
  arch: processes.arch,
  arp,
  ash: shellMain,
  awk,
  base64: bytes.base64,
  basename: listing.basename,
  cat: text.cat,
  chgrp: files.chgrp,
  chmod: files.chmod,
  chown: files.chown,
  chroot: processes.chroot,
  clear: processes.clear,
  cmp: bytes.cmp,
  cp: files.cp,
  cut: text.cut,
  date,
  dd: bytes.dd,
  df: listing.df,
  diff,
  dirname: listing.dirname,
  du: listing.du,
  echo: echoProgram,
  egrep: grep,
  env: processes.env,
  expand: text.expand,
  expr,
  fallocate: files.fallocate,
  false: processes.falseProgram,
  fgrep: grep,
  find,
  fold: text.fold,
  free: processes.free,
  grep,
  groups: processes.groupsCommand,
  gunzip: bytes.gzip,
  gzip: bytes.gzip,
  head: text.head,
  hexdump: bytes.hexdump,
  hostname: processes.hostname,
  id: processes.id,
  ifconfig,
  ip: busyboxIp,
  kill: killProgram,
  killall: processes.killall,
  ln: files.ln,
  ls: listing.ls,
  md5sum: bytes.sum("md5"),
  mkdir: files.mkdir,
  mkfifo: files.mkfifo,
  mktemp: files.mktemp,
  mount: listing.mount,
  mv: files.mv,
  nc: network.nc,
  netstat,
  nl: text.nl,
  nohup: processes.nohup,
  nproc: processes.nproc,
  nslookup: network.nslookup,
  od: bytes.od,
  paste: text.paste,
  pgrep: processes.pgrep,
  pidof: processes.pidof,
  ping: network.ping,
  printf: printfProgram,
  ps: processes.ps,
  pwd: pwdProgram,
  readlink: listing.readlink,
  realpath: listing.realpath,
  rev: text.rev,
  rm: files.rm,
  rmdir: files.rmdir,
  route,
  sed,
  seq: text.seq,
  sh: shellMain,
  sha1sum: bytes.sum("sha1"),
  sha256sum: bytes.sum("sha256"),
  sha512sum: bytes.sum("sha512"),
  sleep: processes.sleep,
  sort,
  stat: listing.stat,
  sync: syncProgram,
  sysctl: network.sysctl,
  tac: text.tac,
  tail: text.tail,
  tar,
  tee: text.tee,
  test: testProgram,
  time: processes.time,
  timeout: processes.timeout,
  top,
  touch: files.touch,
  tr,
  traceroute,
  traceroute6: traceroute,
  true: processes.trueProgram,
  truncate: files.truncate,
  tty: processes.tty,
  stty,
  reset,
  uname: processes.uname,
  uniq: text.uniq,
  uptime: processes.uptime,
  usleep: processes.usleep,
  watch: processes.watch,
  wc: text.wc,
  wget: network.wget,
  which: processes.which,
  whoami: processes.whoami,
  xargs: processes.xargs,
  xxd: bytes.xxd,
  yes: text.yes,
  zcat: bytes.gzip,
};

/** busybox APPLET [ARGS] */
export async function busyboxMain(p: Process): Promise<number> {
  const name = p.argv[1];
  if (name === undefined || name === "--help") {
    await p.print(`${BUSYBOX}\n\nUsage: busybox [function [arguments]...]\n   or: busybox --list\n`);
    return 0;
  }
  if (name === "--list") {
    await p.print(`${Object.keys(APPLETS).sort().join("\n")}\n`);
    return 0;
  }
  const program = APPLETS[name];
  if (program === undefined) {
    await p.printError(`${name}: applet not found\n`);
    return 127;
  }
  p.argv = p.argv.slice(1);
  return program(p);
}
