# What ds01 has to tell, once, at the login of a person on a terminal. It may never hold up or break a login.
case $- in
    *i*)
        if [ -t 1 ] && [ -s "/var/lib/ds01/notices/$(id -u).jsonl" ]; then
            timeout --foreground 3 /usr/bin/ds01 notices 2>/dev/null </dev/null || :
        fi
        ;;
esac
