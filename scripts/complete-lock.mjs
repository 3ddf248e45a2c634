// Adds to package-lock.json the optional packages of other platforms that npm left out.
//
// npm writes a lock file from what its registry offers. Behind a mirror that lacks the builds for
// other platforms (biome, esbuild, rolldown and others list them as optional), those entries are
// missing, and `npm ci` then refuses the lock file. A bare entry (version, optional, os, cpu) is
// sufficient for npm everywhere. Run it after each `npm install` that changed the lock file; it is
// idempotent.
import { readFile, writeFile } from 'node:fs/promises'

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(await readFile(file, 'utf8'))
const systems =
  /(?:^|[/-])(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)(?=-|$)/
const processors = /-(arm|arm64|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)(?=-|$)/
const libraries = /-(musl|gnu)/

/** What the name of a platform build says about where it runs, in npm's words. */
function platformOf(name) {
  const system = systems.exec(name)?.[1]
  const processor = processors.exec(name)?.[1]
  const library = libraries.exec(name)?.[1]
  return {
    ...(processor === undefined ? {} : { cpu: [processor] }),
    ...(system === undefined ? {} : { os: [system] }),
    ...(system !== 'linux' || library === undefined
      ? {}
      : { libc: [library === 'gnu' ? 'glibc' : 'musl'] }),
  }
}

let added = 0
for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (key in lock.packages) continue
    const platform = platformOf(name)
    if (platform.os === undefined || platform.cpu === undefined) {
      // Reported, because a name that this script does not know may be a platform build too.
      console.error(`complete-lock: cannot tell the platform of ${name}`)
      process.exitCode = 1
    }
    lock.packages[key] = {
      version,
      ...platform,
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
    }
    added += 1
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
lock.packages = Object.fromEntries(sorted)
await writeFile(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`complete-lock: ${added} entries added`)
