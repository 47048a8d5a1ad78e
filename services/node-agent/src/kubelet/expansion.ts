// $(VAR) expansion in command, args and env (third_party/forked/golang/expansion): "$$" is "$", an unknown reference stays as it is.

export function expand(text: string, env: ReadonlyMap<string, string>): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, what: string, name: string | undefined) => {
    if (what === "$") return "$";
    return env.get(name as string) ?? whole;
  });
}
