/** What a command's end tells the shell. Part of the interface: see `exitCodesHelp`. */
export const exitCode = {
  done: 0,
  failed: 1,
  usage: 2,
  rowsNotTaken: 3,
  notVerified: 4,
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

export const exitCodesHelp = `Exit codes:
  0    done
  1    failed; the last line says why
  2    the command line or the configuration is wrong
  3    an import is through, but for rows that could not be taken
  4    what was to be verified is not what was signed; each finding says what is wrong
  130  interrupted by Ctrl-C; an import, a copy or a verification goes on where it stopped when it is run again`
