/** What the benches post: as long as such reports are. */
export const report = {
  source: 'monitoring',
  severity: 'high',
  description: `Disk of db-1 is 96 % full. ${'The volume grew by 3 GiB in an hour. '.repeat(4)}`,
  labels: { host: 'db-1', region: 'eu-west' },
}
